"""Python imports this, as sitecustomize, at its start. It sets the clock of the process ahead by $CLOCK_AHEAD seconds."""
import datetime
import os
import time

ahead = float(os.environ["CLOCK_AHEAD"])
seconds = time.time


def shifted():
    return seconds() + ahead


class Shifted(datetime.datetime):
    @classmethod
    def now(cls, tz=None):
        return cls.fromtimestamp(shifted(), tz)

    @classmethod
    def utcnow(cls):
        return cls.utcfromtimestamp(shifted())


time.time = shifted
datetime.datetime = Shifted
