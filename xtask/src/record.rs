//! Records: what was measured, on which machine, when and how. A file of comma-separated values for each machine, day and kind,
//! `benches/record/<machine>/<date>-<kind>.csv`, under lines that begin with `#`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process::{output, printed};

/// Where records are kept.
const RECORDS: &str = "benches/record";

/// `cargo xtask record KIND -- COMMAND…`: keeps what a command prints.
pub(crate) fn record(arguments: &[String]) -> Result<(), String> {
    let usage = "usage: cargo xtask record KIND -- COMMAND…";
    let [kind, dashes, program, rest @ ..] = arguments else { return Err(usage.to_owned()) };
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if dashes != "--" || kind.is_empty() || !kind.chars().all(is_word) {
        return Err(usage.to_owned());
    }
    // Made before, for the load that it tells of.
    let heading = heading(&arguments[2..].join(" "));
    let text = format!("{heading}{}", printed(Command::new(program).args(rest))?);
    // What nothing can be read from is no record.
    Record::parse("what it prints", &text)?;
    write(kind, &text)
}

/// The first lines of a record that begins to be measured now.
pub(crate) fn heading(command: &str) -> String {
    let commit = output("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_default();
    let compiler = output("rustc", &["--version"]).unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    format!(
        "# machine: {}, {} cores; date: {}; commit: {commit}; {compiler}; load {}\n# command: {command}\n",
        machine(),
        std::thread::available_parallelism().map_or(1, usize::from),
        today().unwrap_or_default(),
        load.split(' ').next().unwrap_or_default(),
    )
}

/// Writes a record of this machine and this day; `kind` tells it from others of the same day.
pub(crate) fn write(kind: &str, text: &str) -> Result<(), String> {
    let file = path(&format!("{kind}.csv"))?;
    fs::write(&file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    println!("wrote {}", file.display());
    Ok(())
}

/// The path of a file of this machine and this day, in a folder that is there.
pub(crate) fn path(name: &str) -> Result<PathBuf, String> {
    let date = today().ok_or("no date")?;
    let folder = Path::new(RECORDS).join(slug(&machine()));
    fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(folder.join(format!("{date}-{name}")))
}

/// A record, read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// The file, from the repository's root.
    pub(crate) path: String,
    /// The lines in front, without `#`.
    notes: Vec<String>,
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Record {
    /// The newest record of a kind, of whatever machine, in the repository at `root`.
    pub(crate) fn newest(root: &Path, kind: &str) -> Result<Self, String> {
        let ending = format!("-{kind}.csv");
        let entries = |folder: &Path| folder.read_dir().into_iter().flatten().flatten().map(|entry| entry.path());
        let is_one = |path: &PathBuf| date_of(path, &ending).is_some();
        let files = entries(&root.join(RECORDS)).flat_map(|machine| entries(&machine)).filter(is_one);
        let newest = files.max_by_key(|path| (date_of(path, &ending), path.clone()));
        let path = newest.ok_or_else(|| format!("no record of {kind} under {RECORDS}"))?;
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Self::parse(&path.strip_prefix(root).unwrap_or(&path).display().to_string(), &text)
    }

    fn parse(path: &str, text: &str) -> Result<Self, String> {
        let (notes, lines): (Vec<&str>, Vec<&str>) =
            text.lines().filter(|line| !line.is_empty()).partition(|line| line.starts_with('#'));
        let notes = notes.into_iter().map(|line| line.trim_start_matches('#').trim().to_owned()).collect();
        let mut lines = lines.into_iter().map(fields);
        let columns = lines.next().ok_or_else(|| format!("{path}: nothing but notes"))?;
        let rows: Vec<_> = lines.collect();
        if let Some(row) = rows.iter().find(|row| row.len() != columns.len()) {
            let (found, expected) = (row.len(), columns.len());
            return Err(format!(
                "{path}: {found} fields where {expected} are named; a comma within one wants quotes: {row:?}"
            ));
        }
        Ok(Self { path: path.to_owned(), notes, columns, rows })
    }

    /// The machine, with its cores.
    pub(crate) fn machine(&self) -> Option<&str> {
        let machine = self.notes.iter().find_map(|note| note.strip_prefix("machine: "))?;
        machine.split(';').next()
    }

    /// The rows, each by the names of its columns.
    pub(crate) fn rows(&self) -> impl Iterator<Item = Row<'_>> + Clone {
        self.rows.iter().map(|fields| Row { record: self, fields })
    }
}

/// A row of a record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<'a> {
    record: &'a Record,
    fields: &'a [String],
}

impl<'a> Row<'a> {
    /// What stands in a column; nothing where there is none of that name.
    pub(crate) fn text(&self, column: &str) -> &'a str {
        let place = self.record.columns.iter().position(|name| name == column);
        place.and_then(|place| self.fields.get(place)).map_or("", String::as_str)
    }

    /// The number in a column.
    pub(crate) fn number(&self, column: &str) -> Result<f64, String> {
        let number = self.text(column).parse().ok().filter(|number: &f64| number.is_finite());
        number.ok_or_else(|| format!("{}: no number in {column} of {:?}", self.record.path, self.fields))
    }
}

/// The date in front of a file name of the form `<date>-<kind>.csv`.
fn date_of(path: &Path, ending: &str) -> Option<String> {
    let date = path.file_name()?.to_str()?.strip_suffix(ending)?;
    let form = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect::<String>();
    (form == "0000-00-00").then(|| date.to_owned())
}

/// The fields of a line; those that hold commas are in quotes.
fn fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut is_quoted = false;
    for c in line.chars() {
        match (c, fields.last_mut()) {
            ('"', _) => is_quoted = !is_quoted,
            (',', _) if !is_quoted => fields.push(String::new()),
            (_, Some(field)) => field.push(c),
            (_, None) => {}
        }
    }
    fields
}

fn today() -> Option<String> {
    output("date", &["-u", "+%Y-%m-%d"])
}

/// The processor's name.
pub(crate) fn machine() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |name: &str| {
        let line = info.lines().find(|line| line.split(':').next().is_some_and(|key| key.trim() == name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let name = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    // Some virtual machines hide the model's number from its name.
    match (field("cpu family"), field("model")) {
        (Some(family), Some(model)) => format!("{name} family {family} model {model}"),
        _ => name,
    }
}

fn slug(name: &str) -> String {
    let words: Vec<_> = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    words.join("-").to_lowercase()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn read(text: &str) -> Record {
        Record::parse("a record", text).unwrap()
    }

    #[test]
    fn a_record_is_read_as_it_was_written() {
        let record = read("# machine: M, 2 cores; date: D\n# more\ncase,ns\n\"a, b\",1.5\nc,x\n");
        assert_eq!(record.machine(), Some("M, 2 cores"));
        let rows: Vec<_> = record.rows().collect();
        assert_eq!(rows.iter().map(|row| row.text("case")).collect::<Vec<_>>(), ["a, b", "c"]);
        assert_eq!(rows[0].number("ns"), Ok(1.5));
        assert!(rows[1].number("ns").is_err() && rows[0].number("nothing").is_err());
        for bad in ["", "# notes\n", "a,b\n1\n", "a,b\n1,2,3\n"] {
            assert!(Record::parse("", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_files_of_a_day_and_the_kind_are_records_of_it() {
        let date = |name: &str| date_of(Path::new(name), "-field.csv");
        assert_eq!(date("benches/record/m/2026-11-25-field.csv").as_deref(), Some("2026-11-25"));
        for other in ["2026-11-25-gpu-field.csv", "2026-11-25.csv", "field.csv", "-field.csv", "2026-1-25-field.csv"] {
            assert_eq!(date(other), None, "{other}");
        }
    }

    #[test]
    fn a_command_wants_a_kind_and_dashes() {
        for bad in [&["a"][..], &["a", "--"], &["a", "b", "c"], &["../a", "--", "b"], &["", "--", "b"]] {
            let bad: Vec<_> = bad.iter().map(|&text| text.to_owned()).collect();
            assert!(record(&bad).is_err_and(|error| error.starts_with("usage")), "{bad:?}");
        }
    }
}
