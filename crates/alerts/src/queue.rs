//! The alerts that wait for one Alertmanager.

use std::collections::VecDeque;

use model::Alert;

/// No request carries more alerts than this.
pub(crate) const BATCH_MAX: usize = 256;

/// First in, first out, of at most `capacity` alerts (ALERTS-3).
#[derive(Debug)]
pub(crate) struct Queue {
    alerts: VecDeque<Alert>,
    capacity: usize,
}

impl Queue {
    pub(crate) fn new(capacity: usize) -> Self {
        Self { alerts: VecDeque::new(), capacity }
    }

    /// Appends `alerts`, then drops the oldest that are too many. Returns how many it dropped.
    pub(crate) fn push(&mut self, alerts: impl IntoIterator<Item = Alert>) -> usize {
        self.alerts.extend(alerts);
        let excess = self.alerts.len().saturating_sub(self.capacity);
        self.alerts.drain(..excess);
        excess
    }

    /// The oldest alerts, at most [`BATCH_MAX`].
    pub(crate) fn take_batch(&mut self) -> Vec<Alert> {
        let length = self.alerts.len().min(BATCH_MAX);
        self.alerts.drain(..length).collect()
    }

    /// Empties the queue. Returns how many alerts it held.
    pub(crate) fn clear(&mut self) -> usize {
        let length = self.alerts.len();
        self.alerts.clear();
        length
    }

    pub(crate) fn len(&self) -> usize {
        self.alerts.len()
    }
}

#[cfg(test)]
mod tests {
    use model::{Labels, Timestamp};

    use super::*;

    fn alerts(numbers: std::ops::Range<usize>) -> Vec<Alert> {
        let alert = |number: usize| Alert {
            labels: [("number", number.to_string())].into_iter().collect(),
            annotations: Labels::empty(),
            starts_at: Timestamp::EPOCH,
            ends_at: Timestamp::EPOCH,
            generator_url: String::new(),
        };
        numbers.map(alert).collect()
    }

    #[test]
    fn alerts_leave_in_order_and_in_batches() {
        let mut queue = Queue::new(10_000);
        assert_eq!(queue.push(alerts(0..BATCH_MAX + 2)), 0);
        assert_eq!(queue.take_batch(), alerts(0..BATCH_MAX));
        assert_eq!(queue.take_batch(), alerts(BATCH_MAX..BATCH_MAX + 2));
        assert_eq!(queue.take_batch(), []);
    }

    #[test]
    fn a_full_queue_drops_its_oldest_alerts() {
        let mut queue = Queue::new(3);
        assert_eq!(queue.push(alerts(0..2)), 0);
        assert_eq!(queue.push(alerts(2..5)), 2);
        assert_eq!(queue.take_batch(), alerts(2..5));
        assert_eq!(queue.push(alerts(0..10)), 7, "a batch that is too large for the queue itself");
        assert_eq!(queue.len(), 3);
        assert_eq!(queue.clear(), 3);
        assert_eq!(queue.take_batch(), []);
    }
}
