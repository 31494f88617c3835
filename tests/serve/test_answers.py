"""Every task's route answers as `predict` does."""

import asyncio
import base64
import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from server_process import serving
from stored_model import stored

from seqarena import api
from seqarena.core.errors import UserError
from seqarena.serve.model.request import ServeRequest
from seqarena.tasks.registry import TASKS
