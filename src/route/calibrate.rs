//! Measuring what work costs, once, in the background, as soon as a device serves.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use super::batch::{Answerable, Divisible, Hashing};
use super::decision::Work;
use super::device::{Device, Failed, Lane};
use super::line::{Line, count};
use super::policy::CPU;
use super::router::{Inner, checked};
use super::sample::Samples;
use super::split::{Offer, divide};

/// How long measuring all kinds of work may take.
const BUDGET: Duration = Duration::from_millis(1_800);

/// How often it is looked whether a device serves by now.
const LOOK: Duration = Duration::from_millis(20);

/// How long it is waited for devices; compiling takes seconds.
const PATIENCE: Duration = Duration::from_mins(15);

/// Sizes of measured batches, as far as there is time for them.
const SIZES: [usize; 5] = [16, 128, 1_024, 4_096, 16_384];

/// The size that is measured as long as there is any time left.
const LEAST: usize = 1_024;

/// Each size is measured so many times, of which the shortest counts: what disturbs only adds.
const TIMES: usize = 2;

/// Where the CPU is busy or a device fails, it is tried again after so long, and at most so many times.
const PAUSE: Duration = Duration::from_millis(250);
const TRIES: u32 = 100;

/// How long everyone works at once to measure contention.
const TOGETHER: f64 = 0.06;

/// The longest wait for a device, beyond which it is not measured.
const STALLED: Duration = Duration::from_secs(5);

/// Starts to measure what is not known.
pub(super) fn start(inner: &Arc<Inner>) -> std::io::Result<()> {
    if inner.lanes.is_empty() {
        return Ok(());
    }
    let weak = Arc::downgrade(inner);
    std::thread::Builder::new().name("phalanx-measure".to_owned()).spawn(move || measure_all(&weak)).map(drop)
}

/// Measures each kind of work once every device that serves any has said whether it serves this one.
fn measure_all(weak: &Weak<Inner>) {
    let until = Instant::now() + PATIENCE;
    let Some(samples) = weak.upgrade().map(|inner| Samples::new(&inner.cpu)) else { return };
    let mut left: Vec<Work> = Work::ALL.into();
    let mut tries = 0;
    while !left.is_empty() && tries < TRIES && Instant::now() < until {
        let Some(inner) = weak.upgrade() else { return };
        let before = left.len();
        let mut failed = false;
        left.retain(|work| {
            if !inner.lanes.iter().any(|lane| lane.device.serves(*work)) {
                return true;
            }
            let began = Instant::now();
            let done = measure(&inner, &samples, *work);
            tracing::debug!(%work, done, took = ?began.elapsed(), "measured");
            failed |= !done;
            !done
        });
        if left.len() < before {
            inner.remember();
        }
        drop(inner);
        tries += u32::from(failed);
        std::thread::sleep(if failed { PAUSE } else { LOOK });
    }
}

/// Whether all that serves this kind of work was measured.
fn measure(inner: &Inner, samples: &Samples, work: Work) -> bool {
    let budget = BUDGET / u32::try_from(Work::ALL.len()).unwrap_or(1);
    match work {
        Work::Recover => measure_work(inner, work, budget, &|items| samples.recover(items)),
        Work::Verify => measure_work(inner, work, budget, &|items| samples.verify(items)),
        Work::Hash(function) => {
            // Units are what is counted; a message has more than one.
            let most = samples.messages(SIZES[SIZES.len() - 1]);
            measure_work(inner, work, budget, &|units| {
                let items = Hashing { function, messages: &most }.item_at(units);
                OwnedHashing { function, messages: samples.messages(items) }
            })
        }
    }
}

/// Measures those backends whose costs are not known, each by itself and then all at once.
fn measure_work<B: Sample>(inner: &Inner, work: Work, budget: Duration, make: &dyn Fn(usize) -> B) -> bool {
    let serving: Vec<(usize, &Lane)> = (1..).zip(&inner.lanes).filter(|(_, lane)| lane.device.serves(work)).collect();
    let all = std::iter::once(CPU).chain(serving.iter().map(|(backend, _)| *backend));
    let known = |backend: usize| inner.learned.policy().knows(backend, work);
    if all.clone().all(known) {
        return true;
    }
    let each =
        (budget.saturating_sub(Duration::from_secs_f64(TOGETHER))) / u32::try_from(serving.len() + 1).unwrap_or(1);
    let cpu = time(each, make, |batch| {
        let start = Instant::now();
        let ((), alone) = inner.alone(|| batch.on_cpu(inner));
        alone.then(|| start.elapsed())
    });
    // A CPU that is never left alone has been measured by what keeps it busy.
    let learned = || inner.learned.policy().costs(CPU).into_iter().find(|cost| cost.0 == work).map(|(_, line, _)| line);
    let Some(cpu) = cpu.or_else(learned) else { return false };
    let mut measured = vec![(CPU, cpu)];
    for (backend, lane) in &serving {
        if let Some(line) = time(each, make, |batch| batch.on_lane(lane)) {
            measured.push((*backend, line));
        }
    }
    let contention = together(inner, &measured, make);
    for (place, (backend, line)) in measured.iter().enumerate() {
        let contention = contention.get(place).copied().unwrap_or(1.0);
        tracing::debug!(backend, %work, ?line, contention, "costs");
        inner.learned.policy().set_cost(*backend, work, *line, contention);
    }
    measured.len() > serving.len()
}

/// The line through batches of rising sizes, as many as there is time for.
fn time<B>(budget: Duration, make: &dyn Fn(usize) -> B, run: impl Fn(B) -> Option<Duration>) -> Option<Line> {
    let until = Instant::now() + budget;
    // The first batch of all finds nothing in any cache.
    run(make(SIZES[0]))?;
    let mut points: Vec<(usize, f64)> = Vec::new();
    for items in SIZES {
        if let Some((before, seconds)) = points.last() {
            // A small batch on a busy machine says nothing of a large one: up to there, only the time spent counts.
            let expected = if items > LEAST { seconds * count(items) / count(*before) * count(TIMES) } else { 0.0 };
            if expected >= until.saturating_duration_since(Instant::now()).as_secs_f64() {
                break;
            }
        }
        let times = (0..TIMES).filter_map(|_| run(make(items)));
        if let Some(shortest) = times.min() {
            points.push((items, shortest.as_secs_f64()));
        }
    }
    // Where small batches go unevenly, what matters is where the line goes between large ones.
    let tail = points.len().saturating_sub(3);
    Line::through(&points[tail..])
}

/// How many times longer each takes while all of them work.
fn together<B: Sample>(inner: &Inner, measured: &[(usize, Line)], make: &dyn Fn(usize) -> B) -> Vec<f64> {
    let granule = |backend: usize| backend.checked_sub(1).map_or(1, |lane| inner.lanes[lane].device.granule());
    let offer = |(backend, line): &(usize, Line)| Offer { line: *line, backlog: 0.0, granule: granule(*backend) };
    let offers: Vec<Offer> = measured.iter().map(offer).collect();
    let rate: f64 = offers.iter().map(|offer| ((TOGETHER - offer.line.fixed()) / offer.line.per_item()).max(0.0)).sum();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded, and not negative")]
    let items = rate.min(count(SIZES[SIZES.len() - 1])) as usize;
    let shares = divide(items, &offers).shares;
    if shares.iter().filter(|share| **share > 0).count() < 2 {
        return Vec::new();
    }
    let took: Vec<Option<Duration>> = std::thread::scope(|scope| {
        let others: Vec<_> = measured[1..]
            .iter()
            .zip(&shares[1..])
            .map(|((backend, _), share)| {
                let batch = make(*share);
                let lane = &inner.lanes[backend - 1];
                scope.spawn(move || batch.on_lane(lane))
            })
            .collect();
        let batch = make(shares[0]);
        let start = Instant::now();
        inner.alone(|| batch.on_cpu(inner));
        let cpu = Some(start.elapsed());
        std::iter::once(cpu).chain(others.into_iter().map(|other| other.join().ok().flatten())).collect()
    });
    let factor = |((offer, share), took): ((&Offer, &usize), &Option<Duration>)| {
        let expected = offer.finish(*share);
        took.filter(|_| expected > 0.0).map_or(1.0, |took| (took.as_secs_f64() / expected).max(1.0))
    };
    offers.iter().zip(&shares).zip(&took).map(factor).collect()
}

/// A batch to be measured.
trait Sample: Send {
    fn on_cpu(&self, inner: &Inner);
    /// How long the device worked on it; `None` if it failed.
    fn on_lane(self, lane: &Lane) -> Option<Duration>;
}

impl<B: Answerable> Sample for B
where
    B::Answer: Send + 'static,
{
    fn on_cpu(&self, inner: &Inner) {
        drop(Answerable::on_cpu(self, &inner.cpu));
    }

    fn on_lane(self, lane: &Lane) -> Option<Duration> {
        let run = move |device: &dyn Device| -> Result<Vec<B::Answer>, Failed> {
            checked(self.on_device(device), self.len())
        };
        lane.submit(run).wait_until(Instant::now() + STALLED)?.ok().map(|(_, took)| took)
    }
}

type OwnedHashing = Hashing<crate::batch::MessageBatch>;
