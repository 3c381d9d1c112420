"""Imports what the processes of a box import only when they make their stage, for a process that they are forked from.

Not the engines: their libraries start threads as soon as they are imported, and no thread survives a fork.
"""

# ruff: noqa: F401
import framegate.adapters.hook_http
import framegate.adapters.passwords
import framegate.alerts.dispatcher
import framegate.alerts.service
import framegate.dashboard.app
import framegate.dashboard.deps
import framegate.gate.office
import framegate.gate.people
import framegate.gate.stage
import framegate.inference.answers
import framegate.inference.chains
import framegate.inference.classes
import framegate.inference.deployments
import framegate.inference.fleet
import framegate.inference.naming
import framegate.inference.shadow
import framegate.inference.stage
import framegate.ingest.app
import framegate.ingest.counting
import framegate.ingest.deps
import framegate.ingest.evidence
import framegate.ingest.server
import framegate.preprocess.decoder_pool
import framegate.preprocess.direct
import framegate.preprocess.stage
import framegate.sweep.cameras
import framegate.sweep.canary
import framegate.sweep.drift
import framegate.sweep.retention
import framegate.sweep.reviews
import framegate.sweep.sweeper
