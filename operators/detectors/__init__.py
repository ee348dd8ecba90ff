"""The detectors, one file each, behind the contract of `operators.detectors.contract`; `registry` builds them."""
