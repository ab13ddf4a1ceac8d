//! A program in service: its admission, and how a batch is cut into chunks, checked as it comes back, and put together in order.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use rayon::iter::{IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSlice;

use super::chunk::{Chunk, Pace, Part, Place, Room};
use super::recheck::Budget;
use super::sample::Sampler;
use super::{Done, Reply, Worker};
use crate::cpu::CpuBackend;
use crate::gpu::driver::Spec;
use crate::gpu::error::Fault;
use crate::gpu::program::{Output, Program};
use crate::gpu::team::{LANES_AT_ONCE, Team};

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
    /// Whether every item has its answer.
    is_complete: bool,
}

impl<T> Given<T> {
    /// The same, its answers put among others.
    pub(crate) fn among(self, others: impl FnOnce(Vec<Option<T>>) -> Vec<Option<T>>) -> Self {
        Self { answers: others(self.answers), ..self }
    }

    /// How many answers have still to be given.
    pub(crate) fn left(&self) -> usize {
        if self.is_complete { 0 } else { self.answers.iter().filter(|answer| answer.is_none()).count() }
    }
}

/// A chunk that is on its way.
struct Sent {
    chunk: Chunk,
    reply: Reply,
}

/// A lane whose item was refused, and the item's index.
type Refused = (usize, usize);

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
        let mut open = Open { program: &self.program, cpu, item, next: 0, waiting: VecDeque::new(), left_out: 0 };
        let fault = self.run(worker, number, &mut open, &mut answers).err();
        if fault.as_ref().is_some_and(Fault::is_wrong) {
            answers.fill(None);
        }
        Given { answers, is_complete: fault.is_none() && open.left_out == 0, fault }
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
        open: &mut Open<'a, '_, P, impl Fn(usize) -> P::Item<'a> + Sync>,
        answers: &mut [Option<P::Answer>],
    ) -> Result<(), Fault> {
        let mut sent = VecDeque::new();
        // One more than there are slots: it is packed while the others are on the device.
        let most_sent = worker.shared.settings.slots + 1;
        loop {
            while sent.len() < most_sent {
                let Some((items, words)) = self.next_items(worker, open, answers) else { break };
                sent.push_back(self.send(worker, number, items, words, open.item)?);
            }
            let Some(oldest) = sent.pop_front() else { return Ok(()) };
            let done = worker.wait(&oldest.reply)?;
            self.take(worker, open.cpu, &oldest.chunk, &done, open.item, answers)?;
        }
    }

    /// The items of the next chunk, and how many words they take; `None` at the end.
    fn next_items<'a>(
        &'a self,
        worker: &Worker,
        open: &mut Open<'a, '_, P, impl Fn(usize) -> P::Item<'a> + Sync>,
        answers: &mut [Option<P::Answer>],
    ) -> Option<(Vec<usize>, usize)> {
        let room = Room::new(worker, &self.spec);
        let most = self.pace.lanes().saturating_sub(CANARIES).max(1);
        // What the largest of the known answers take; any of them may come along.
        let known = self.known.iter().map(|(item, _)| self.program.input_words(item)).max().unwrap_or(0);
        loop {
            open.fill(&worker.team, most, answers);
            let left = open.waiting.len() + (answers.len() - open.next);
            let wanted = room.cut(left + CANARIES, most + CANARIES).saturating_sub(CANARIES).max(1);
            let mut count = wanted.min(open.waiting.len());
            let mut words = open.waiting.iter().take(count).map(|waiting| waiting.words).sum::<usize>();
            // Mostly there is room for all that the pace allows.
            while count > 0 && !room.holds(count + CANARIES, words + CANARIES * known) {
                count -= 1;
                words -= open.waiting[count].words;
            }
            if count > 0 {
                return Some((open.waiting.drain(..count).map(|waiting| waiting.index).collect(), words));
            }
            // An item that fits into no dispatch stays without an answer; the CPU gives it.
            open.waiting.pop_front()?;
            open.left_out += 1;
        }
    }

    fn send<'a>(
        &'a self,
        worker: &Worker,
        number: usize,
        items: Vec<usize>,
        words: usize,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
    ) -> Result<Sent, Fault> {
        let canaries = self.canaries();
        let known: usize = canaries.iter().map(|index| self.program.input_words(&self.known[*index].0)).sum();
        let chunk = Chunk::mix(items, &canaries, &mut Sampler::new()?);
        self.submit(worker, number, chunk, words + known, item)
    }

    fn submit<'a>(
        &'a self,
        worker: &Worker,
        number: usize,
        chunk: Chunk,
        words: usize,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
    ) -> Result<Sent, Fault> {
        let input = chunk.pack(&self.program, &|lane| self.item_at(&chunk, lane, item), words, &worker.team);
        let reply = worker.submit(number, chunk.len(), input)?;
        Ok(Sent { chunk, reply })
    }

    /// What a lane of a chunk is asked.
    fn item_at<'a>(&'a self, chunk: &Chunk, lane: usize, item: &impl Fn(usize) -> P::Item<'a>) -> P::Item<'a> {
        match chunk.place(lane) {
            Place::Item(index) => item(index),
            Place::Known(index) => P::shorten(self.known[index].0),
        }
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
    fn take<'a>(
        &'a self,
        worker: &Worker,
        cpu: &CpuBackend,
        chunk: &Chunk,
        done: &Done,
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
        answers: &mut [Option<P::Answer>],
    ) -> Result<(), Fault> {
        self.pace.saw(chunk.len(), done.step, &worker.shared.settings);
        metrics::counter!("phalanx.gpu.lanes", "program" => P::NAME).increment(chunk.len() as u64);
        metrics::histogram!("phalanx.gpu.chunk.seconds", "program" => P::NAME).record(done.took.as_secs_f64());
        // Before anything is put in its place: what cannot be checked again is not handed on.
        let mut sampler = Sampler::new()?;
        let refused = self.open_answers(worker, chunk, &done.output, item, answers)?;
        let allowed = self.budget().allow(done.took, refused.len());
        let sample = sampler.distinct(allowed, refused.len());
        let sample: Vec<Refused> = sample.into_iter().map(|at| refused[at]).collect();
        self.recheck(cpu, chunk, &sample, item, answers)
    }

    /// Puts the answers of a chunk in their places, if all its seals hold and its known answers are right; which were refused.
    fn open_answers<'a>(
        &'a self,
        worker: &Worker,
        chunk: &Chunk,
        output: &[u32],
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
        answers: &mut [Option<P::Answer>],
    ) -> Result<Vec<Refused>, Fault> {
        let wrong = |lane: usize, problem: &str| self.wrong(chunk, lane, item, problem);
        let output = Output::of::<P>(output, chunk.len(), chunk.nonce);
        let output = output.ok_or_else(|| wrong(0, "words of its output are missing"))?;
        let open = |part: Part<'_, P::Answer>| {
            let mut refused = Vec::new();
            output.open(part.lanes, |lane, words| {
                let words = words.ok_or_else(|| wrong(lane, "its seal is broken"))?;
                let answer = self.program.unpack(words);
                let answer = answer.ok_or_else(|| wrong(lane, "no answer that the kernels give"))?;
                match chunk.place(lane) {
                    Place::Item(index) => {
                        if self.program.is_refusal(&answer) {
                            refused.push((lane, index));
                        }
                        part.answers[index - part.first] = Some(answer);
                    }
                    Place::Known(index) if answer == self.known[index].1 => {}
                    Place::Known(index) => {
                        let known = &self.known[index].1;
                        return Err(wrong(lane, &format!("known answer {index} is {known:?}, and {answer:?} came")));
                    }
                }
                Ok(())
            })?;
            Ok(refused)
        };
        let opened: Result<Vec<_>, Fault> =
            worker.team.each(chunk.parts(answers, LANES_AT_ONCE), open).into_iter().collect();
        Ok(opened?.concat())
    }

    /// Checks refusals again.
    fn recheck<'a>(
        &'a self,
        cpu: &CpuBackend,
        chunk: &Chunk,
        sample: &[Refused],
        item: &(impl Fn(usize) -> P::Item<'a> + Sync),
        answers: &[Option<P::Answer>],
    ) -> Result<(), Fault> {
        if sample.is_empty() {
            return Ok(());
        }
        let items: Vec<_> = sample.iter().map(|(_, index)| item(*index)).collect();
        let started = Instant::now();
        let by_cpu = self.all_on_cpu(cpu, &items);
        self.budget().spent(started.elapsed(), items.len());
        metrics::counter!("phalanx.gpu.rechecks", "program" => P::NAME).increment(items.len() as u64);
        if by_cpu.len() != items.len() {
            return Err(self.wrong(chunk, 0, item, "the CPU lost items that it was to check again"));
        }
        match sample.iter().zip(&by_cpu).find(|((_, index), answer)| answers[*index].as_ref() != Some(answer)) {
            None => Ok(()),
            Some(((lane, index), answer)) => {
                let given = &answers[*index];
                Err(self.wrong(chunk, *lane, item, &format!("{given:?}, where the CPU says {answer:?}")))
            }
        }
    }

    fn budget(&self) -> std::sync::MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What reproduces a wrong answer.
    fn wrong<'a>(&'a self, chunk: &Chunk, lane: usize, item: &impl Fn(usize) -> P::Item<'a>, problem: &str) -> Fault {
        const LONGEST: usize = 600;
        let mut item = format!("{:?}", self.item_at(chunk, lane, item));
        if item.len() > LONGEST {
            item = item.chars().take(LONGEST).chain("…".chars()).collect();
        }
        let (lanes, nonce) = (chunk.len(), chunk.nonce);
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
                let more = words + self.program.input_words(&self.known[index].0);
                if !room.holds(known.len() + 1, more) {
                    if known.is_empty() {
                        let needs = self.spec.slot_size(1, more).bytes() * worker.shared.settings.slots as u64;
                        return Err(Fault::Memory { needs, may: worker.shared.settings.memory });
                    }
                    break;
                }
                words = more;
                known.push(index);
                turn.next();
            }
            let chunk = Chunk::mix(Vec::new(), &known, &mut Sampler::new()?);
            // Every lane is a known answer's.
            let none = |index: usize| P::shorten(self.known[index].0);
            let Sent { chunk, reply } = self.submit(worker, number, chunk, words, &none)?;
            let done = worker.wait(&reply)?;
            self.open_answers(worker, &chunk, &done.output, &none, &mut [])?;
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
    waiting: VecDeque<Waiting>,
    /// Items that fit into no dispatch.
    left_out: usize,
}

/// An item for the device.
#[derive(Clone, Copy)]
struct Waiting {
    index: usize,
    /// Of its input.
    words: usize,
}

impl<'a, P: Program, F: Fn(usize) -> P::Item<'a> + Sync> Open<'a, '_, P, F> {
    /// Looks at further items until `wanted` wait for the device, and answers those that need none.
    fn fill(&mut self, team: &Team, wanted: usize, answers: &mut [Option<P::Answer>]) {
        while self.waiting.len() < wanted && self.next < answers.len() {
            let end = answers.len().min(self.next + SETTLED_AT_ONCE.max(wanted));
            let (program, item) = (self.program, self.item);
            let firsts = (self.next..end).step_by(SETTLED_PER_TASK);
            let parts = firsts.zip(answers[self.next..end].chunks_mut(SETTLED_PER_TASK)).collect();
            let look = |(first, answers): (usize, &mut [Option<P::Answer>])| {
                let mut open = Vec::with_capacity(answers.len());
                for (index, answer) in (first..).zip(answers) {
                    let item = item(index);
                    *answer = program.settle(&item);
                    if answer.is_none() {
                        open.push(Waiting { index, words: program.input_words(&item) });
                    }
                }
                open
            };
            // Settling may mean hashing what is too long for a device: without a team that is the CPU's.
            let looked = if team.is_alone() && end - self.next > SETTLED_PER_TASK {
                self.cpu.install(|| Vec::into_par_iter(parts).map(look).collect())
            } else {
                team.each(parts, look)
            };
            for open in looked {
                self.waiting.extend(open);
            }
            self.next = end;
        }
    }
}
