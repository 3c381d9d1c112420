"""An Amazon SQS for tests: standard queues, strict as the documentation, or as adverse as it allows, by a seed.

In this process: `running_fake_sqs`. In one of its own: `python -m tests.support.fake_sqs`.
"""

from .adversity import Adversity
from .broker import Broker
from .running import RunningFake, running_fake_sqs

__all__ = ["Adversity", "Broker", "RunningFake", "running_fake_sqs"]
