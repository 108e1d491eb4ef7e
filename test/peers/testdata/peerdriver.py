"""The storage backend that tests give to a real cinder-volume: it stores nothing, and does as it is told.

Its replication targets are those of replication_device, and 'explode', which takes part in no failover without raising.
Options of a backend's section, for WHAT in freeze, thaw and failover:

  peer_WHAT_error    text: refuse, with these words
  peer_WHAT_delay    seconds to take for it; fewer, told meanwhile, count at once
  peer_dir           a directory: what this backend was told is appended to BACKEND.calls there, and to
                     BACKEND.requests whose request it was; while BACKEND.json exists there, what it holds
                     ({"freeze_error": "...", "failover_delay": 3, ...}) goes before the options
"""

import json
import os
import time

from oslo_config import cfg

from cinder import exception
from cinder import interface
from cinder.volume import configuration
from cinder.volume import driver

OPTIONS = [cfg.StrOpt('peer_dir', default='')]
for what in ('freeze', 'thaw', 'failover'):
    OPTIONS.append(cfg.StrOpt('peer_%s_error' % what, default=''))
    OPTIONS.append(cfg.FloatOpt('peer_%s_delay' % what, default=0.0))
cfg.CONF.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)

HOME = 'default'
EXPLODE = 'explode'


@interface.volumedriver
class PeerDriver(driver.VolumeDriver):
    VERSION = '1.0'
    SUPPORTS_ACTIVE_ACTIVE = True

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.configuration.append_config_values(OPTIONS)
        self.targets = []

    @staticmethod
    def get_driver_options():
        return OPTIONS

    # What it is told, and how it takes it.

    def _name(self):
        return self.configuration.safe_get('volume_backend_name')

    def _file(self, suffix):
        return os.path.join(self.configuration.safe_get('peer_dir') or os.devnull, self._name() + suffix)

    def _setting(self, name):
        try:
            with open(self._file('.json')) as f:
                told = json.load(f)
        except OSError:
            told = {}
        return told.get(name, self.configuration.safe_get('peer_' + name))

    def _record(self, *words, suffix='.calls'):
        if self.configuration.safe_get('peer_dir'):
            with open(self._file(suffix), 'a') as f:
                f.write(' '.join(str(w) for w in words) + '\n')

    def _told(self, context, what, *words):
        self._record(what, *words)
        self._record(what, context.request_id, suffix='.requests')
        began = time.monotonic()
        while time.monotonic() - began < float(self._setting(what + '_delay') or 0):
            time.sleep(0.05)
        refusal = self._setting(what + '_error')
        if refusal:
            raise exception.VolumeDriverException(message=refusal)
        self._record(what, *words, 'done')

    def freeze_backend(self, context):
        self._told(context, 'freeze')
        return True

    def thaw_backend(self, context):
        self._told(context, 'thaw')
        return True

    def failover(self, context, volumes, secondary_id=None, groups=None):
        target = secondary_id
        if target is None and self.targets:
            target = self.targets[0]
        if target == EXPLODE:
            self._record('failover', target)
            raise exception.VolumeDriverException(message='exploded')
        if target != HOME and target not in self.targets:
            self._record('failover', target)
            raise exception.InvalidReplicationTarget(reason='there is no target %s' % target)
        self._told(context, 'failover', target)
        status = 'enabled' if target == HOME else 'failed-over'
        return target, [{'volume_id': v.id, 'updates': {'replication_status': status}} for v in volumes], []

    def failover_host(self, context, volumes, secondary_id=None, groups=None):
        return self.failover(context, volumes, secondary_id, groups)

    def failover_completed(self, context, active_backend_id=None):
        self._record('failover_completed', active_backend_id)

    # What it is.

    def do_setup(self, context):
        devices = self.configuration.safe_get('replication_device') or []
        self.targets = [d['backend_id'] for d in devices]

    def check_for_setup_error(self):
        pass

    def get_volume_stats(self, refresh=False):
        replicated = bool(self.targets)
        return {
            'volume_backend_name': self._name(),
            'vendor_name': 'peers',
            'driver_version': self.VERSION,
            'storage_protocol': 'file',
            'replication_enabled': replicated,
            'replication_targets': self.targets + [EXPLODE] if replicated else [],
            'pools': [{
                'pool_name': self._name(),
                'total_capacity_gb': 100,
                'free_capacity_gb': 50,
                'reserved_percentage': 0,
                'QoS_support': False,
                'replication_enabled': replicated,
                'backend_state': 'up',
            }],
        }

    # What a driver must have, and these tests do not use.

    def create_volume(self, volume):
        return {'replication_status': 'enabled'} if self.targets else {}

    def initialize_connection(self, volume, connector):
        return {'driver_volume_type': 'local', 'data': {}}

    def _nothing(self, *args, **kwargs):
        pass

    delete_volume = ensure_export = create_export = remove_export = terminate_connection = _nothing
    create_snapshot = delete_snapshot = create_volume_from_snapshot = create_cloned_volume = extend_volume = _nothing
    copy_image_to_volume = copy_volume_to_image = _nothing
