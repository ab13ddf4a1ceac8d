//! A bounded queue that can be closed from either end, and whose waits are bounded.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::gpu::error::Fault;

#[derive(Debug)]
pub(super) struct Queue<T> {
    capacity: usize,
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    closed: Option<Fault>,
}

/// What came of waiting for room.
#[derive(Debug)]
pub(super) enum Pushed<T> {
    /// It is in the queue.
    Queued,
    /// There was no room in that time.
    Full(T),
    /// Nothing is taken any more, and why.
    Closed(Fault),
}

/// What came of waiting for an item.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Popped<T> {
    /// The oldest item.
    Item(T),
    /// There was none in that time.
    Empty,
    /// There will be none any more.
    Closed,
}

impl<T> Queue<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = Mutex::new(State { items: VecDeque::new(), closed: None });
        Self { capacity, state, changed: Condvar::new() }
    }

    /// Waits for room, at most `timeout`.
    pub(super) fn push(&self, item: T, timeout: Duration) -> Pushed<T> {
        let until = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(fault) = &state.closed {
                return Pushed::Closed(fault.clone());
            }
            if state.items.len() < self.capacity {
                state.items.push_back(item);
                self.changed.notify_all();
                return Pushed::Queued;
            }
            match self.wait(state, until) {
                Some(guard) => state = guard,
                None => return Pushed::Full(item),
            }
        }
    }

    /// Waits for an item, at most `timeout`.
    pub(super) fn pop(&self, timeout: Duration) -> Popped<T> {
        let until = Instant::now() + timeout;
        let mut state = self.lock();
        loop {
            if let Some(item) = state.items.pop_front() {
                self.changed.notify_all();
                return Popped::Item(item);
            }
            if state.closed.is_some() {
                return Popped::Closed;
            }
            match self.wait(state, until) {
                Some(guard) => state = guard,
                None => return Popped::Empty,
            }
        }
    }

    /// Takes nothing any more, and hands back what nobody has taken. The first reason stays.
    pub(super) fn close(&self, fault: Fault) -> Vec<T> {
        let mut state = self.lock();
        state.closed.get_or_insert(fault);
        self.changed.notify_all();
        state.items.drain(..).collect()
    }

    /// Why it is closed, if it is.
    pub(super) fn closed(&self) -> Option<Fault> {
        self.lock().closed.clone()
    }

    /// Waits for a change; `None` if the time is over.
    fn wait<'a>(&self, state: MutexGuard<'a, State<T>>, until: Instant) -> Option<MutexGuard<'a, State<T>>> {
        let left = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero())?;
        Some(self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0)
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // Nothing panics while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(5);

    #[test]
    fn items_come_out_in_order_and_a_full_queue_says_so() {
        let queue = Queue::new(2);
        assert!(matches!(queue.push(1, SOON), Pushed::Queued));
        assert!(matches!(queue.push(2, SOON), Pushed::Queued));
        assert!(matches!(queue.push(3, SOON), Pushed::Full(3)));
        assert_eq!(queue.pop(SOON), Popped::Item(1));
        assert!(matches!(queue.push(3, SOON), Pushed::Queued));
        assert_eq!(
            [queue.pop(SOON), queue.pop(SOON), queue.pop(SOON)],
            [Popped::Item(2), Popped::Item(3), Popped::Empty]
        );
    }

    #[test]
    fn closing_hands_back_what_waits_and_wakes_who_waits() {
        let queue = Queue::new(1);
        assert!(matches!(queue.push(1, SOON), Pushed::Queued));
        std::thread::scope(|scope| {
            let pusher = scope.spawn(|| queue.push(2, Duration::from_mins(1)));
            let mut left = queue.close(Fault::Ended);
            // The pusher may have come before the close, or not; nothing is lost either way.
            match pusher.join().expect("no panic") {
                Pushed::Closed(fault) => assert_eq!(fault, Fault::Ended),
                other => panic!("{other:?}"),
            }
            assert_eq!(left.pop(), Some(1));
        });
        assert_eq!(queue.pop(SOON), Popped::Closed);
        assert!(matches!(queue.push(3, SOON), Pushed::Closed(Fault::Ended)));
        assert!(queue.close(Fault::Hung(SOON)).is_empty());
        assert_eq!(queue.closed(), Some(Fault::Ended));
    }
}
