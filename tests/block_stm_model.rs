//! The scheduler and the multi-version memory of Block-STM under a model checker: threads are run in thousands of orders,
//! drawn at random and by PCT, on blocks so small that every kind of conflict is met.
//!
//! The sources are the library's own, with the checker's primitives in the place of std's. What is checked of every order:
//! it ends (no deadlock, no livelock within the checker's bound of steps); the outcome is that of execution in order; every
//! transaction's last incarnation holds when all is done (no validation is lost); no incarnation is executed or aborted twice.
#![cfg(feature = "executor")]
#![allow(dead_code, reason = "the sources have more than the model needs")]

mod sync {
    pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
    pub(crate) use shuttle::sync::{Mutex, MutexGuard};
    pub(crate) use std::sync::PoisonError;
}

#[path = "../src/executor/block_stm/multi_version.rs"]
mod multi_version;
#[path = "../src/executor/block_stm/scheduler.rs"]
mod scheduler;

use std::collections::HashSet;
use std::sync::Arc;

use multi_version::{Position, Versions};
use scheduler::{Active, Incarnation, Scheduler, Task, TxIndex, Version};
use shuttle::sync::Mutex;

/// What a transaction of the model does: it sums up what it reads, and writes that and one more to a location, or to another
/// one if the sum is odd.
#[derive(Clone, Debug)]
struct Transaction {
    reads: Vec<usize>,
    write: usize,
    write_if_odd: usize,
}

fn transaction(reads: &[usize], write: usize, write_if_odd: usize) -> Transaction {
    Transaction { reads: reads.to_vec(), write, write_if_odd }
}

const LOCATIONS: usize = 3;

/// Validations pass over whatever is not executed, or over nothing.
const LEADS: [usize; 2] = [0, 8];

/// Blocks with chains, with writes whose place depends on what is read, and with transactions that nothing binds.
fn blocks() -> Vec<Vec<Transaction>> {
    vec![
        vec![transaction(&[0], 0, 0), transaction(&[0], 0, 0)],
        vec![transaction(&[0], 0, 0), transaction(&[0], 0, 0), transaction(&[0], 0, 0)],
        vec![transaction(&[0], 1, 0), transaction(&[1], 2, 0), transaction(&[0, 2], 0, 1)],
        vec![transaction(&[], 0, 0), transaction(&[], 1, 1), transaction(&[0, 1], 2, 2)],
        vec![transaction(&[2], 0, 1), transaction(&[0], 1, 2), transaction(&[1], 2, 0), transaction(&[0, 1, 2], 0, 0)],
    ]
}

fn in_order(block: &[Transaction]) -> [u64; LOCATIONS] {
    let mut memory = [0; LOCATIONS];
    for transaction in block {
        let sum: u64 = transaction.reads.iter().map(|location| memory[*location]).sum();
        let place = if sum.is_multiple_of(2) { transaction.write } else { transaction.write_if_odd };
        memory[place] = sum + 1;
    }
    memory
}

#[derive(Default)]
struct Record {
    reads: Vec<(usize, u64)>,
    write: Option<usize>,
}

struct Model {
    block: Vec<Transaction>,
    scheduler: Scheduler,
    memory: Vec<Versions<u64>>,
    records: Vec<Mutex<Record>>,
    executed: Mutex<HashSet<(TxIndex, Incarnation)>>,
    aborted: Mutex<HashSet<(TxIndex, Incarnation)>>,
}

fn position(tx: TxIndex) -> Position {
    Position::try_from(tx).unwrap() + 1
}

impl Model {
    /// The transactions at the places `executed` are executed first, the last of them before all others.
    fn new(block: Vec<Transaction>, lead: usize, executed: &[TxIndex]) -> Self {
        let model = Self {
            scheduler: Scheduler::new((0..block.len()).map(|tx| executed.contains(&tx)), lead),
            memory: (0..LOCATIONS).map(|_| Versions::default()).collect(),
            records: block.iter().map(|_| Mutex::default()).collect(),
            executed: Mutex::default(),
            aborted: Mutex::default(),
            block,
        };
        for tx in executed.iter().rev().filter(|tx| **tx < model.block.len()) {
            model.incarnate(Version { tx: *tx, incarnation: 0 }).unwrap();
        }
        model
    }

    /// What the transaction at `position` reads, or whose estimate it meets.
    fn read(&self, location: usize, at: Position) -> Result<u64, Position> {
        self.memory[location].below(at, |written| match written.last() {
            Some(last) if last.estimate => Err(last.position),
            Some(last) => Ok(last.value),
            None => Ok(0),
        })
    }

    fn work(&self) {
        let (mut task, mut active) = (None, Active::default());
        while !self.scheduler.is_done() {
            task = match task.take().or_else(|| self.scheduler.next_task(&mut active)) {
                Some(Task::Execution(version)) => self.execute(version),
                Some(Task::Validation(version)) => self.validate(version),
                None => {
                    shuttle::thread::yield_now();
                    None
                }
            };
        }
    }

    fn execute(&self, version: Version) -> Option<Task> {
        loop {
            match self.incarnate(version) {
                Ok(new) => return self.scheduler.finish_execution(version, new),
                Err(blocking) if self.scheduler.add_dependency(version.tx, blocking as usize - 1) => return None,
                Err(_) => {}
            }
        }
    }

    /// Executes an incarnation and returns whether it wrote where the one before did not; the error is whose estimate it met.
    fn incarnate(&self, version: Version) -> Result<bool, Position> {
        let Version { tx, incarnation } = version;
        let transaction = &self.block[tx];
        let read = |location: &usize| self.read(*location, position(tx)).map(|value| (*location, value));
        let reads: Vec<_> = transaction.reads.iter().map(read).collect::<Result<_, _>>()?;
        assert!(self.executed.lock().unwrap().insert((tx, incarnation)), "{version:?} was executed twice");
        let sum: u64 = reads.iter().map(|(_, value)| value).sum();
        let place = if sum.is_multiple_of(2) { transaction.write } else { transaction.write_if_odd };
        let new = self.memory[place].write(position(tx), incarnation, sum + 1);
        let record = Record { reads, write: Some(place) };
        let before = std::mem::replace(&mut *self.records[tx].lock().unwrap(), record);
        if let Some(before) = before.write {
            self.memory[before].remove_stale(position(tx), incarnation);
        }
        Ok(new)
    }

    fn holds(&self, tx: TxIndex, record: &Record) -> bool {
        record.reads.iter().all(|(location, seen)| self.read(*location, position(tx)) == Ok(*seen))
    }

    fn validate(&self, version: Version) -> Option<Task> {
        let Version { tx, incarnation } = version;
        let record = self.records[tx].lock().unwrap();
        let aborted = !self.holds(tx, &record) && self.scheduler.try_validation_abort(version);
        if aborted {
            assert!(self.aborted.lock().unwrap().insert((tx, incarnation)), "{version:?} was aborted twice");
            if let Some(place) = record.write {
                self.memory[place].mark_estimate(position(tx));
            }
        }
        drop(record);
        self.scheduler.finish_validation(tx, aborted)
    }

    /// What must be true when all is done.
    fn check(&self) {
        for tx in 0..self.block.len() {
            let record = self.records[tx].lock().unwrap();
            assert!(record.write.is_some() && self.holds(tx, &record), "transaction {tx} was not validated");
        }
        let last = |location| self.read(location, Position::MAX).unwrap();
        assert_eq!(std::array::from_fn::<_, LOCATIONS, _>(last), in_order(&self.block));
    }
}

fn run(block: Vec<Transaction>, threads: usize, lead: usize, executed: &[TxIndex]) {
    let model = Arc::new(Model::new(block, lead, executed));
    let others: Vec<_> = (1..threads)
        .map(|_| {
            let model = model.clone();
            shuttle::thread::spawn(move || model.work())
        })
        .collect();
    model.work();
    for thread in others {
        thread.join().unwrap();
    }
    model.check();
}

#[test]
fn random_orders_end_in_the_outcome_of_execution_in_order() {
    for block in blocks() {
        for (threads, lead) in [2, 3].into_iter().flat_map(|threads| LEADS.map(|lead| (threads, lead))) {
            let block = block.clone();
            shuttle::check_random(move || run(block.clone(), threads, lead, &[]), 1_500);
        }
    }
}

#[test]
fn orders_with_few_preemptions_end_in_the_outcome_of_execution_in_order() {
    for block in blocks() {
        for lead in LEADS {
            let block = block.clone();
            // Probabilistic concurrency testing finds what needs few, but certain, switches of threads.
            shuttle::check_pct(move || run(block.clone(), 2, lead, &[]), 1_500, 3);
        }
    }
}

#[test]
fn what_was_executed_before_all_else_is_validated_and_executed_again() {
    for block in blocks() {
        for executed in [&[0, 2][..], &[1], &[1, 3], &[0, 1, 2, 3]] {
            let block = block.clone();
            shuttle::check_random(move || run(block.clone(), 2, 2, executed), 1_000);
        }
    }
}
