"""The fused detector once more, in plain Python and one point at a time: what its kernels must agree with."""

from __future__ import annotations

import math
import statistics
from collections import deque
from dataclasses import dataclass, field

from operators.detectors.settings import FusedSettings


@dataclass
class Tail:
    """Streaming peaks over threshold: a value to -log10 of its tail probability."""

    first: list[float] = field(default_factory=list)
    q: float = 0.0
    b: float = 0.0

    def update(self, n, z):
        a = 0.03
        if n < 140:
            if n >= 35:
                self.first.append(z)
            if n == 139:
                ordered = sorted(self.first)
                self.q = ordered[int((1.0 - a) * len(ordered))]
                above = [each for each in ordered if each > self.q]
                total = 0.0
                for each in above:
                    total += each - self.q
                mean = total / len(above) if above else 0.0
                middle = ordered[len(ordered) // 2]
                self.b = max(mean, 0.15 * max(self.q - middle, 0.0), 0.02 * self.q, 1e-9)
            return 0.0
        q, b, rate = self.q, self.b, max(0.001, 1.0 / n)
        if z > q:
            self.b = max(b + max(0.004, 4.0 / n) * (min(z - q, 8.0 * b) - b), 1e-9)
            self.q = q + rate * (1.0 - a) * self.b / a * 0.5
            return -math.log10(a) + (z - q) / (b * math.log(10.0))
        self.q = max(q - rate * b * 0.5, 0.0)
        return -math.log10(a) * z / q if q > 0.0 else 0.0


@dataclass
class Envelope:
    """The range that a feature has shown, and what a break of it is worth."""

    skip: int
    age: int = 0
    high: float = 0.0
    low: float = 0.0
    mean: float = 0.0
    variance: float = 0.0
    breaks: float = 0.0
    last_break: float = -1e9

    def update(self, x, theta):
        age, self.age = self.age, self.age + 1
        if age < self.skip:
            return 0.0
        if age == self.skip:
            self.high = self.low = self.mean = x
            return 0.0
        rate, away = max(0.001, 1.0 / (age - self.skip + 1)), x - self.mean
        self.mean += rate * away
        self.variance = (1.0 - rate) * (self.variance + rate * away * away)
        width = max(self.high - self.low, math.sqrt(self.variance), 1e-9 * abs(self.mean) + 1e-12)
        self.breaks *= math.exp(-1.0 / 2000.0)
        share, said = max(x - self.high, self.low - x, 0.0) / width, 0.0
        if share > 0.0 and age >= 140:
            said = math.log1p(share / (1.0 + 0.2 * self.breaks) * (age / (age + 1000.0)) / theta)
            if share > 0.01 and age - self.last_break > 30:
                self.breaks, self.last_break = self.breaks + 1.0, age
        self.high = x + 0.2 * (x - self.high) if x > self.high else self.high - 7e-5 * (self.high - x)
        self.low = x - 0.2 * (self.low - x) if x < self.low else self.low + 7e-5 * (x - self.low)
        return said


class Deviation:
    """The three channels and the features of novelty."""

    def __init__(self, floor):
        self.floor, self.n, self.size = floor, 0, 0.0
        self.born = self.last_time = math.nan
        self.gaps: deque[float] = deque(maxlen=9)
        self.bins: dict[int, list[float]] = {}
        self.usual, self.residuals = 0.0, 0
        self.mean = self.variance = self.last = self.moves = 0.0
        self.drift, self.jump = Tail(), Tail()
        self.recent: deque[float] = deque(maxlen=10)

    def update(self, time, x):
        n = self.n
        if n == 0:
            self.born = time
        elif time > self.last_time:
            self.gaps.append(time - self.last_time)
        self.last_time = time if n == 0 else max(self.last_time, time)
        step = statistics.median_high(self.gaps) if self.gaps else 0.0
        size = min(abs(x), 20.0 * self.size) if n >= 50 and self.size > 0.0 else abs(x)
        self.size += (size - self.size) / (n + 1)
        least = self.floor * self.size + 1e-12
        season, residual = self._season(time, x, least)
        drift, jump = self._moves(x, least)
        self.n += 1
        self.recent.append(x)
        signed_log = math.copysign(math.log1p(abs(x) / (40.0 * least)), x)
        features = (signed_log, residual, _mean(list(self.recent)))
        return season, self.drift.update(n, drift), self.jump.update(n, jump), step, features

    def _season(self, time, x, least):
        place = int((time % 86400.0) / 86400.0 * 48)
        if place not in self.bins:
            self.bins[place] = [x, 0.0, 1]
            return 0.0, None
        level, spread, visits = self.bins[place]
        residual = x - level
        size, usual = abs(residual), self.usual
        width = max(0.5 * (usual + spread) if visits >= 4 else usual, least)
        said = size / width if self.residuals >= 20 else 0.0
        self.residuals += 1
        learned = min(size, 8.0 * usual + least) if self.residuals > 30 else size
        self.usual += max(0.005, 1.0 / self.residuals) * (learned - usual)
        rate = max(0.05, 1.0 / (visits + 1))
        far = min(size, 50.0 * width) if visits >= 4 else size
        self.bins[place] = [level + rate * math.copysign(far, residual), spread + rate * (far - spread), visits + 1]
        return said, residual if time - self.born >= 86400.0 else None

    def _moves(self, x, least):
        n = self.n
        if n == 0:
            self.mean = self.last = x
            return 0.0, 0.0
        deviation, other = max(math.sqrt(self.variance), least), max(math.sqrt(self.moves), least)
        away, move = x - self.mean, x - self.last
        drift, jump = (abs(away) / deviation, abs(move) / other) if n >= 10 else (0.0, 0.0)
        if n >= 50:
            away = min(max(away, -4.0 * deviation), 4.0 * deviation)
            move = min(max(move, -4.0 * other), 4.0 * other)
        rate = max(0.001, 1.0 / (n + 1))
        self.mean += rate * away
        self.variance = (1.0 - rate) * (self.variance + rate * away * away)
        self.moves = (1.0 - rate) * self.moves + rate * move * move
        self.last = x
        return drift, jump


def _mean(values):
    total = 0.0
    for each in reversed(values):
        total += each
    return total / len(values)


class FusedReference:
    """`update` gives what is emitted for one point: None while warming up, 1 and more for an alert."""

    def __init__(self, settings: FusedSettings, budget: float = 2.0):
        self.own, self.budget, self.n = settings, budget, 0
        self.deviation = Deviation(settings.floor)
        self.envelopes = [Envelope(25), Envelope(25), Envelope(25)]
        self.ring: deque[float] = deque(maxlen=15)
        self.habit = math.log(3.4) - 1.0
        self.count, self.counted, self.last_score, self.last_time = 0.0, 0.0, 0.0, -1e18

    def update(self, time, x):
        n, own = self.n, self.own
        self.n += 1
        if n == 0:
            self.counted = time
        season, drift, jump, step, features = self.deviation.update(time, x)
        novelty = 0.0
        for envelope, feature in zip(self.envelopes, features, strict=True):
            if feature is not None:
                novelty += envelope.update(feature, own.theta)
        weight = 2.0 / (1.0 + (step / 800.0) * (step / 800.0))
        total = min(season, 10.0) + min(drift, 10.0) + weight * min(jump, 10.0)
        raw = total / (2.0 + weight) * (1.0 + own.novelty * novelty)
        bar = math.exp(own.habituation * max(0.0, self.habit - math.log(3.4)))
        if n >= 140:
            share, move = min(6.0 * step / 86400.0, 0.2), 0.05 if n <= 1000 else 0.02
            self.habit += move * (1.0 - share) if math.log(raw + 1e-6) > self.habit else -move * share
        self.ring.append(raw)
        wanted = int(min(max(round(own.persistence / step), 1), 15)) if step > 0.0 else 1
        have = sorted(list(self.ring)[-wanted:])
        lasting = raw if wanted == 1 else max(1.75 * have[len(have) // 2], raw / 3.0)
        if n < 140:
            return None
        return self._emit(time, lasting / own.level, bar, step)

    def _emit(self, time, lasting, bar, step):
        own = self.own
        count = self.count * math.exp(-max(time - self.counted, 0.0) / 604800.0)
        score = lasting / (bar * (1.0 + own.penalty * max(0.0, count - self.budget)))
        quiet = min(own.refractory, own.refractory_windows * step)
        if lasting < 0.4 or score < 0.4 or (time - self.last_time <= quiet and score <= self.last_score * own.gain):
            return 0.0
        self.last_score, self.last_time = score, time
        if score >= 1.0:
            self.count, self.counted = count + 1.0, max(self.counted, time)
        return score
