//! A program in service: its admission, and how a batch is cut into chunks, checked as it comes back, and put together in order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::chunk::{Chunk, Pace, Place, Room};
use super::recheck::Budget;
use super::sample::Sampler;
use super::{Done, Reply, Worker};
use crate::cpu::CpuBackend;
use crate::gpu::driver::Spec;
use crate::gpu::error::Fault;
use crate::gpu::program::{Program, seal, stride};

/// Known answers among the lanes of each dispatch: half of them accepted, half of them refused, where there are both.
const CANARIES: usize = 4;

/// Items that the host checks by itself at a time.
const SETTLED_AT_ONCE: usize = 4_096;

/// Items that a thread checks by itself at a time.
const SETTLED_PER_TASK: usize = 256;

/// Items that a thread has the CPU's engine answer at a time, and what they are a multiple of: the lanes of its vectors.
const ON_CPU_BLOCK: usize = 256;
const ON_CPU_LANES: usize = 8;

/// What an adapter serves, its items and answers forgotten.
pub(in crate::gpu) trait Serving: fmt::Debug + Send + Sync {
    /// The program's name.
    fn name(&self) -> &'static str;

    /// Compiles the program and has every known answer given. The number stands for the program in this worker.
    fn admit(&self, worker: &Worker) -> Result<usize, Fault>;
}

/// A program, what is known of its answers, and what was learnt of its pace.
#[derive(Debug)]
pub(in crate::gpu) struct Served<P: Program> {
    program: P,
    spec: Spec,
    known: Vec<(P::Item<'static>, P::Answer)>,
    /// Indices of the known answers that accept, and of those that refuse.
    kinds: [Vec<usize>; 2],
    /// Which known answers come next.
    turn: AtomicUsize,
    pace: Pace,
    budget: Mutex<Budget>,
}

/// What a device gave of a batch.
#[derive(Debug)]
pub(crate) struct Given<T> {
    /// An answer for each item in order, or none where it has still to be given.
    pub(crate) answers: Vec<Option<T>>,
    /// What kept the device from giving the others.
    pub(crate) fault: Option<Fault>,
}

/// A chunk that is on its way.
struct Sent<'a, P: Program> {
    chunk: Chunk<'a, P>,
    reply: Reply,
}

impl<P: Program> Served<P> {
    pub(in crate::gpu) fn new(program: P) -> Self {
        let known = program.known_answers();
        let (refused, accepted) = (0..known.len()).partition(|index| program.is_refusal(&known[*index].1));
        let spec = Spec::of(&program);
        Self {
            program,
            spec,
            known,
            kinds: [accepted, refused],
            turn: AtomicUsize::new(0),
            pace: Pace::default(),
            budget: Mutex::default(),
        }
    }

    /// Has the device answer `count` items; what the host's own checks settle never gets there.
    ///
    /// An item that fits into no dispatch is left without an answer. After wrong answers none is given at all.
    pub(in crate::gpu) fn answer<'a>(
        &'a self,
        worker: &Worker,
        number: usize,
        cpu: &CpuBackend,
        count: usize,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
    ) -> Given<P::Answer> {
        let mut answers = vec![None; count];
        let fault = self.run(worker, number, cpu, item, &mut answers).err();
        if fault.as_ref().is_some_and(Fault::is_wrong) {
            answers.fill(None);
        }
        Given { answers, fault }
    }

    /// The answers, those that the device did not give by the CPU. Fewer than there are items if the CPU lost some.
    pub(in crate::gpu) fn answer_on_cpu<'a>(
        &'a self,
        cpu: &CpuBackend,
        mut answers: Vec<Option<P::Answer>>,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
    ) -> Vec<P::Answer> {
        let open: Vec<_> = (0..answers.len()).filter(|index| answers[*index].is_none()).collect();
        let items: Vec<_> = open.iter().map(|index| item(*index)).collect();
        for (index, answer) in open.into_iter().zip(self.all_on_cpu(cpu, &items)) {
            answers[index] = Some(answer);
        }
        answers.into_iter().map_while(|answer| answer).collect()
    }

    /// The CPU's answers in order, on all its threads; none if any was lost, which would shift the others.
    fn all_on_cpu(&self, cpu: &CpuBackend, items: &[P::Item<'_>]) -> Vec<P::Answer> {
        let a_thread = items.len().div_ceil(cpu.threads().max(1));
        let block = a_thread.next_multiple_of(ON_CPU_LANES).clamp(ON_CPU_LANES, ON_CPU_BLOCK);
        let answer = |items: &[P::Item<'_>]| {
            let answers = self.program.answer_on_cpu(items);
            (answers.len() == items.len()).then_some(answers)
        };
        let blocks: Option<Vec<_>> = cpu.install(|| items.par_chunks(block).map(answer).collect());
        blocks.unwrap_or_default().into_iter().flatten().collect()
    }

    fn run<'a>(
        &'a self,
        worker: &Worker,
        number: usize,
        cpu: &CpuBackend,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
        answers: &mut [Option<P::Answer>],
    ) -> Result<(), Fault> {
        let mut open = Open { program: &self.program, cpu, item, next: 0, waiting: VecDeque::new() };
        let mut sent = VecDeque::new();
        // One more than there are slots: it is packed while the others are on the device.
        let most_sent = worker.shared.settings.slots + 1;
        loop {
            while sent.len() < most_sent {
                let Some(items) = self.next_items(worker, &mut open, answers) else { break };
                sent.push_back(self.send(worker, number, items)?);
            }
            let Some(oldest) = sent.pop_front() else { return Ok(()) };
            let done = worker.wait(&oldest.reply)?;
            self.take(worker, cpu, &oldest.chunk, &done, answers)?;
        }
    }

    /// The items of the next chunk; `None` at the end.
    fn next_items<'a>(
        &'a self,
        worker: &Worker,
        open: &mut Open<'a, '_, P, impl Fn(usize) -> P::Item<'a> + Sync>,
        answers: &mut [Option<P::Answer>],
    ) -> Option<Vec<(usize, P::Item<'a>)>> {
        let room = Room::new(worker, &self.spec);
        let most = self.pace.lanes().saturating_sub(CANARIES).max(1);
        loop {
            open.fill(most, answers);
            let left = open.waiting.len() + (answers.len() - open.next);
            let wanted = room.cut(left + CANARIES, most + CANARIES).saturating_sub(CANARIES).max(1);
            // What the largest of the known answers take; any of them may come along.
            let known = self.known.iter().map(|(item, _)| self.program.input_words(item)).max().unwrap_or(0);
            let mut words = CANARIES * known;
            let mut items = Vec::new();
            while items.len() < wanted
                && let Some((index, item)) = open.waiting.front().copied()
            {
                let more = words + self.program.input_words(&item);
                if !room.holds(items.len() + 1 + CANARIES, more) {
                    break;
                }
                words = more;
                items.push((index, item));
                open.waiting.pop_front();
            }
            if !items.is_empty() {
                return Some(items);
            }
            // An item that fits into no dispatch stays without an answer; the CPU gives it.
            open.waiting.pop_front()?;
        }
    }

    fn send<'a>(
        &'a self,
        worker: &Worker,
        number: usize,
        items: Vec<(usize, P::Item<'a>)>,
    ) -> Result<Sent<'a, P>, Fault> {
        let canaries: Vec<_> =
            self.canaries().into_iter().map(|index| (index, P::shorten(self.known[index].0))).collect();
        let chunk = Chunk::mix(items, &canaries, &mut Sampler::new()?);
        let reply = worker.submit(number, chunk.lanes.len(), chunk.pack(&self.program))?;
        Ok(Sent { chunk, reply })
    }

    /// The known answers whose turn it is.
    fn canaries(&self) -> Vec<usize> {
        let turn = self.turn.fetch_add(CANARIES / 2, Ordering::Relaxed);
        let [accepted, refused] = &self.kinds;
        let kinds = if refused.is_empty() { [accepted, accepted] } else { [accepted, refused] };
        let of_kind = |kind: &Vec<usize>, offset: usize| {
            (0..CANARIES / 2)
                .filter_map(|i| kind.get((turn + offset + i) % kind.len().max(1)).copied())
                .collect::<Vec<_>>()
        };
        // Where there is one kind only, the two halves are different ones of it.
        [of_kind(kinds[0], 0), of_kind(kinds[1], kinds[1].len() / 2)].concat()
    }

    /// Checks what came back, and puts it in its place.
    fn take(
        &self,
        worker: &Worker,
        cpu: &CpuBackend,
        chunk: &Chunk<'_, P>,
        done: &Done,
        answers: &mut [Option<P::Answer>],
    ) -> Result<(), Fault> {
        self.pace.saw(chunk.lanes.len(), done.step, &worker.shared.settings);
        metrics::counter!("phalanx.gpu.lanes", "program" => P::NAME).increment(chunk.lanes.len() as u64);
        metrics::histogram!("phalanx.gpu.chunk.seconds", "program" => P::NAME).record(done.took.as_secs_f64());
        let given = self.open_answers(chunk, &done.output)?;
        self.recheck(cpu, chunk, done, &given)?;
        for (place, answer) in chunk.places.iter().zip(given) {
            if let Place::Item(index) = place {
                answers[*index] = Some(answer);
            }
        }
        Ok(())
    }

    /// The answers of a chunk whose seals hold and whose known answers are right.
    fn open_answers(&self, chunk: &Chunk<'_, P>, output: &[u32]) -> Result<Vec<P::Answer>, Fault> {
        let stride = stride(chunk.lanes.len());
        let sealed = P::OUTPUT_WORDS.saturating_sub(1);
        for lane in 0..chunk.lanes.len() {
            let words = (0..sealed).map(|word| output[word * stride + lane]);
            #[expect(clippy::cast_possible_truncation, reason = "a dispatch has fewer than 2^32 lanes")]
            if seal(chunk.nonce, lane as u32, words) != output[sealed * stride + lane] {
                return Err(Self::wrong(chunk, lane, "its seal is broken"));
            }
        }
        let given = self.program.unpack(&chunk.lanes, output);
        let given = given.map_err(|garbled| Self::wrong(chunk, garbled.lane, "no answer that the kernels give"))?;
        if given.len() != chunk.lanes.len() {
            return Err(Self::wrong(chunk, given.len(), "lanes were lost"));
        }
        for (lane, (place, answer)) in chunk.places.iter().zip(&given).enumerate() {
            if let Place::Known(index) = place
                && *answer != self.known[*index].1
            {
                let known = &self.known[*index].1;
                return Err(Self::wrong(
                    chunk,
                    lane,
                    &format!("known answer {index} is {known:?}, and {answer:?} came"),
                ));
            }
        }
        Ok(given)
    }

    /// Checks refusals again, as many as the time allows.
    fn recheck(&self, cpu: &CpuBackend, chunk: &Chunk<'_, P>, done: &Done, given: &[P::Answer]) -> Result<(), Fault> {
        let is_refused =
            |lane: &usize| matches!(chunk.places[*lane], Place::Item(_)) && self.program.is_refusal(&given[*lane]);
        let refused: Vec<usize> = (0..given.len()).filter(is_refused).collect();
        let allowed = self.budget().allow(done.took, refused.len());
        if allowed == 0 {
            return Ok(());
        }
        let sample = Sampler::new()?.distinct(allowed, refused.len());
        let lanes: Vec<_> = sample.iter().map(|at| refused[*at]).collect();
        let items: Vec<_> = lanes.iter().map(|lane| chunk.lanes[*lane]).collect();
        let started = Instant::now();
        let by_cpu = self.all_on_cpu(cpu, &items);
        self.budget().spent(started.elapsed(), items.len());
        metrics::counter!("phalanx.gpu.rechecks", "program" => P::NAME).increment(items.len() as u64);
        if by_cpu.len() != items.len() {
            return Err(Self::wrong(chunk, 0, "the CPU lost items that it was to check again"));
        }
        match lanes.iter().zip(&by_cpu).find(|(lane, answer)| given[**lane] != **answer) {
            None => Ok(()),
            Some((lane, answer)) => {
                Err(Self::wrong(chunk, *lane, &format!("{:?}, where the CPU says {answer:?}", given[*lane])))
            }
        }
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What reproduces a wrong answer.
    fn wrong(chunk: &Chunk<'_, P>, lane: usize, problem: &str) -> Fault {
        const LONGEST: usize = 600;
        let mut item = chunk.lanes.get(lane).map_or_else(String::new, |item| format!("{item:?}"));
        if item.len() > LONGEST {
            item = item.chars().take(LONGEST).chain("…".chars()).collect();
        }
        let lanes = chunk.lanes.len();
        let nonce = chunk.nonce;
        Fault::Wrong(format!("{}, lane {lane} of {lanes}, nonce {nonce:#010x}: {problem}; item {item}", P::NAME))
    }
}

impl<P: Program> Serving for Served<P> {
    fn name(&self) -> &'static str {
        P::NAME
    }

    fn admit(&self, worker: &Worker) -> Result<usize, Fault> {
        let number = worker.compile(&self.spec)?;
        // More than a workgroup of every step, so that lanes which share work are full once and not full once.
        let lanes = self.known.len().max(self.spec.lanes_in_step() + 1);
        let mut turn = (0..self.known.len()).cycle().take(lanes).peekable();
        let room = Room::new(worker, &self.spec);
        while turn.peek().is_some() {
            let (mut known, mut words) = (Vec::new(), 0);
            while let Some(index) = turn.peek().copied() {
                let item = P::shorten(self.known[index].0);
                let more = words + self.program.input_words(&item);
                if !room.holds(known.len() + 1, more) {
                    if known.is_empty() {
                        let needs = self.spec.slot_size(1, more).bytes() * worker.shared.settings.slots as u64;
                        return Err(Fault::Memory { needs, may: worker.shared.settings.memory });
                    }
                    break;
                }
                words = more;
                known.push((index, item));
                turn.next();
            }
            let chunk = Chunk::<P>::mix(Vec::new(), &known, &mut Sampler::new()?);
            let reply = worker.submit(number, chunk.lanes.len(), chunk.pack(&self.program))?;
            let done = worker.wait(&reply)?;
            self.open_answers(&chunk, &done.output)?;
        }
        Ok(number)
    }
}

/// The items of a batch that the host has not settled.
struct Open<'a, 'c, P: Program, F> {
    program: &'a P,
    cpu: &'c CpuBackend,
    item: &'c F,
    /// The first index that was not looked at.
    next: usize,
    waiting: VecDeque<(usize, P::Item<'a>)>,
}

impl<'a, P: Program, F: Fn(usize) -> P::Item<'a> + Sync> Open<'a, '_, P, F> {
    /// Looks at further items until `wanted` wait for the device, and answers those that need none.
    fn fill(&mut self, wanted: usize, answers: &mut [Option<P::Answer>]) {
        while self.waiting.len() < wanted && self.next < answers.len() {
            let end = answers.len().min(self.next + SETTLED_AT_ONCE.max(wanted));
            let (program, item) = (self.program, self.item);
            let look = |index| {
                let item = item(index);
                (index, item, program.settle(&item))
            };
            let indices = (self.next..end).into_par_iter();
            let looked: Vec<_> = self.cpu.install(|| indices.with_min_len(SETTLED_PER_TASK).map(look).collect());
            for (index, item, settled) in looked {
                match settled {
                    Some(answer) => answers[index] = Some(answer),
                    None => self.waiting.push_back((index, item)),
                }
            }
            self.next = end;
        }
    }
}
