//! Which backend checks: what was asked for, and the one place that decides.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

#[cfg(any(feature = "gpu", test))]
use crate::error::Error;

/// What is to check.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackendChoice {
    /// The best hardware adapter that can serve; the CPU where there is none, and until it is ready. Software adapters never.
    #[default]
    Auto,
    /// The CPU.
    Cpu,
    /// The best hardware adapter, and an error where there is none.
    Gpu,
    /// What `phalanx devices` lists under this index: 0 is the CPU.
    Index(usize),
    /// The first adapter whose name contains this, upper or lower case; a software adapter too.
    Name(String),
    /// The CPU and the adapter of another choice, each as much of a batch as ends soonest. A software adapter too, where it is named.
    Beside(Box<BackendChoice>),
}

/// An adapter that could be chosen, in the order of the list that indices count.
#[cfg(any(feature = "gpu", test))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) name: String,
    /// The better the lower.
    pub(crate) rank: u8,
    pub(crate) is_software: bool,
    /// Why it could never serve.
    pub(crate) refused: Option<String>,
}

/// What was chosen, and why.
#[cfg(any(feature = "gpu", test))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    /// The adapter by its place among the candidates; `None` is the CPU.
    pub(crate) adapter: Option<usize>,
    pub(crate) reason: String,
}

impl BackendChoice {
    /// Whether a GPU was asked for, so that the CPU may not take its place unsaid.
    #[must_use]
    pub fn is_explicit(&self) -> bool {
        match self {
            Self::Gpu | Self::Index(1..) | Self::Name(_) => true,
            Self::Beside(other) => other.is_explicit(),
            Self::Auto | Self::Cpu | Self::Index(0) => false,
        }
    }

    /// Whether a batch may be divided between the CPU and adapters.
    #[cfg(any(feature = "gpu", test))]
    pub(crate) const fn is_divided(&self) -> bool {
        matches!(self, Self::Auto | Self::Beside(_))
    }

    /// Whether it can be decided without knowing the adapters.
    pub(crate) fn is_cpu(&self) -> bool {
        match self {
            Self::Cpu | Self::Index(0) => true,
            Self::Beside(other) => other.is_cpu(),
            Self::Auto | Self::Gpu | Self::Index(1..) | Self::Name(_) => false,
        }
    }
}

/// Chooses the backend. Everything that checks goes by what is decided here.
#[cfg(any(feature = "gpu", test))]
pub(crate) fn choose(choice: &BackendChoice, candidates: &[Candidate]) -> Result<Chosen, Error> {
    let adapter = |index: usize, reason: String| Ok(Chosen { adapter: Some(index), reason });
    let cpu = |reason: String| Ok(Chosen { adapter: None, reason });
    let fail = |problem: String| Err(Error::Backend { asked: choice.to_string(), problem });
    let may_serve = |index: usize, reason: String| match &candidates[index].refused {
        None => adapter(index, reason),
        Some(refused) => fail(format!("{} cannot serve: {refused}; {ELSE}", candidates[index].name)),
    };
    match choice {
        BackendChoice::Beside(other) => choose(other, candidates),
        BackendChoice::Cpu => cpu("asked for".to_owned()),
        BackendChoice::Index(0) => cpu("asked for by index".to_owned()),
        BackendChoice::Index(index) => match index.checked_sub(1) {
            Some(index) if index < candidates.len() => may_serve(index, "asked for by index".to_owned()),
            _ => fail(format!("the last index is {}; {ELSE}", candidates.len())),
        },
        BackendChoice::Name(name) => {
            let wanted = name.to_lowercase();
            let mut found = (0..candidates.len()).filter(|at| candidates[*at].name.to_lowercase().contains(&wanted));
            match (found.next(), found.count()) {
                (None, _) => fail(format!("no adapter has that in its name; {ELSE}")),
                (Some(index), 0) => may_serve(index, format!("asked for by name, {name:?}")),
                (Some(index), more) => may_serve(index, format!("the first of {} named {name:?}", more + 1)),
            }
        }
        BackendChoice::Auto | BackendChoice::Gpu => match best(candidates) {
            Some(index) => adapter(index, "the best adapter that is no software".to_owned()),
            None if *choice == BackendChoice::Auto => cpu(why_none(candidates)),
            None => fail(format!("{}; {ELSE}", why_none(candidates))),
        },
    }
}

/// What to do where a GPU that was asked for cannot be had.
#[cfg(any(feature = "gpu", test))]
pub(crate) const ELSE: &str = "`phalanx devices` lists what there is, and `cpu` and `auto` do without";

/// The best hardware adapter that could serve, the first of equals.
#[cfg(any(feature = "gpu", test))]
fn best(candidates: &[Candidate]) -> Option<usize> {
    let could = |at: &usize| !candidates[*at].is_software && candidates[*at].refused.is_none();
    (0..candidates.len()).filter(could).min_by_key(|at| candidates[*at].rank)
}

#[cfg(any(feature = "gpu", test))]
fn why_none(candidates: &[Candidate]) -> String {
    if candidates.is_empty() {
        return "there is no GPU adapter".to_owned();
    }
    let why = |candidate: &Candidate| {
        let refused = || candidate.refused.clone().unwrap_or_default();
        let reason = if candidate.is_software { "software, used only by name or index".to_owned() } else { refused() };
        format!("{}: {reason}", candidate.name)
    };
    format!("no GPU could serve ({})", candidates.iter().map(why).collect::<Vec<_>>().join("; "))
}

impl FromStr for BackendChoice {
    type Err = Infallible;

    /// `auto`, `cpu`, `gpu`, a number, or part of a name; `cpu+` in front of it for the CPU beside it.
    fn from_str(text: &str) -> Result<Self, Infallible> {
        let alone = |text: &str| match text {
            "auto" => Self::Auto,
            "cpu" => Self::Cpu,
            "gpu" => Self::Gpu,
            other => other.parse().map_or_else(|_| Self::Name(other.to_owned()), Self::Index),
        };
        Ok(text.strip_prefix("cpu+").map_or_else(|| alone(text), |other| Self::Beside(Box::new(alone(other)))))
    }
}

impl fmt::Display for BackendChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Gpu => f.write_str("gpu"),
            Self::Index(index) => write!(f, "{index}"),
            Self::Name(name) => f.write_str(name),
            Self::Beside(other) => write!(f, "cpu+{other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn candidate(name: &str, rank: u8) -> Candidate {
        Candidate { name: name.to_owned(), rank, is_software: false, refused: None }
    }

    fn machine() -> Vec<Candidate> {
        vec![
            Candidate { is_software: true, ..candidate("llvmpipe (LLVM 15.0.6, 256 bits)", 3) },
            candidate("Intel UHD 630", 1),
            Candidate { refused: Some("no compute shaders".to_owned()), ..candidate("Old card", 0) },
            candidate("AMD Radeon RX 6800", 0),
            candidate("AMD Radeon RX 6900", 0),
        ]
    }

    fn chosen(text: &str, candidates: &[Candidate]) -> Result<Option<usize>, String> {
        let choice: BackendChoice = text.parse().expect("infallible");
        assert_eq!(choice.to_string(), text);
        let chosen = choose(&choice, candidates).map_err(|error| error.to_string())?;
        assert!(!chosen.reason.is_empty());
        Ok(chosen.adapter)
    }

    #[test]
    fn auto_and_gpu_take_the_best_hardware() {
        assert_eq!(chosen("auto", &machine()), Ok(Some(3)));
        assert_eq!(chosen("gpu", &machine()), Ok(Some(3)));
        assert_eq!(chosen("gpu", &machine()[..3]), Ok(Some(1)));
    }

    #[test]
    fn software_is_never_taken_unasked() {
        let software = &machine()[..1];
        assert_eq!(chosen("auto", software), Ok(None));
        let problem = chosen("gpu", software).expect_err("no GPU");
        assert!(problem.contains("llvmpipe") && problem.contains("`auto`"), "{problem}");
        assert_eq!(chosen("LLVMpipe", software), Ok(Some(0)));
        assert_eq!(chosen("1", software), Ok(Some(0)));
        assert_eq!(chosen("auto", &[]), Ok(None));
        assert!(chosen("gpu", &[]).expect_err("no GPU").contains("there is no GPU adapter"));
    }

    #[test]
    fn names_and_indices_take_what_they_name_or_fail() {
        assert_eq!(chosen("cpu", &machine()), Ok(None));
        assert_eq!(chosen("0", &machine()), Ok(None));
        assert_eq!(chosen("radeon", &machine()), Ok(Some(3)));
        assert_eq!(chosen("6900", &machine()), Err("backend 6900: the last index is 5; ".to_owned() + ELSE));
        assert_eq!(chosen("RX 6900", &machine()), Ok(Some(4)));
        assert_eq!(chosen("5", &machine()), Ok(Some(4)));
        assert!(chosen("6", &machine()).is_err());
        assert!(chosen("old", &machine()).expect_err("refused").contains("no compute shaders"));
        assert!(chosen("3", &machine()).expect_err("refused").contains("no compute shaders"));
        assert!(chosen("GeForce", &machine()).expect_err("not there").contains("phalanx devices"));
    }

    #[test]
    fn the_cpu_beside_an_adapter_takes_what_the_adapters_choice_does() {
        assert_eq!(chosen("cpu+llvm", &machine()), Ok(Some(0)));
        assert_eq!(chosen("cpu+2", &machine()), Ok(Some(1)));
        assert_eq!(chosen("cpu+gpu", &machine()), Ok(Some(3)));
        assert_eq!(chosen("cpu+cpu", &machine()), Ok(None));
        assert!(chosen("cpu+GeForce", &machine()).is_err());
        let divided = |text: &str| text.parse::<BackendChoice>().expect("infallible").is_divided();
        assert!(["auto", "cpu+1", "cpu+gpu"].into_iter().all(divided));
        assert!(!["cpu", "gpu", "1", "llvmpipe"].into_iter().any(divided));
    }

    #[test]
    fn only_a_gpu_that_was_asked_for_is_explicit() {
        let explicit = |text: &str| text.parse::<BackendChoice>().expect("infallible").is_explicit();
        assert!(["gpu", "1", "llvmpipe", "cpu+gpu", "cpu+x"].into_iter().all(explicit));
        assert!(!["auto", "cpu", "0", "cpu+0", "cpu+auto"].into_iter().any(explicit));
    }
}
