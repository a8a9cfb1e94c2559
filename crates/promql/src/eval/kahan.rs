//! Sums that lose no small addends to large ones.
//!
//! Source: Prometheus `util/kahansum` (Neumaier's variant; an infinite sum has no compensation).

/// A running sum and what rounding has taken from it so far.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct KahanSum {
    pub(super) sum: f64,
    pub(super) compensation: f64,
}

impl KahanSum {
    pub(super) const fn new(sum: f64) -> Self {
        Self { sum, compensation: 0.0 }
    }

    #[must_use]
    pub(super) fn plus(self, addend: f64) -> Self {
        let Self { sum, mut compensation } = self;
        let total = sum + addend;
        if total.is_infinite() {
            compensation = 0.0;
        } else if sum.abs() >= addend.abs() {
            compensation += (sum - total) + addend;
        } else {
            compensation += (addend - total) + sum;
        }
        Self { sum: total, compensation }
    }

    pub(super) fn total(self) -> f64 {
        self.sum + self.compensation
    }
}

impl FromIterator<f64> for KahanSum {
    fn from_iter<I: IntoIterator<Item = f64>>(addends: I) -> Self {
        addends.into_iter().fold(Self::default(), Self::plus)
    }
}
