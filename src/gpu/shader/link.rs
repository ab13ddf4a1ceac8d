//! Linking WGSL: files that include one another, each once, into one text with a map back to where its lines came from.
//!
//! Directives stand alone on a line:
//!
//! - `//#include "field/secp256k1"` puts `lib/field/secp256k1` there, unless it was included before. A choice in braces, as in
//!   `"field/secp256k1/{arithmetic}"`, is replaced by its value, so that one name stands for a file of each variant.
//! - `//#constant NAME` puts a constant there whose one definition is in Rust.
//! - `//#render NAME` puts functions there that Rust writes out.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What the linker takes from.
#[derive(Debug)]
pub(crate) struct Library<'a> {
    /// Files by their path under `shaders/`, without `.wgsl`.
    pub(crate) files: &'a [(&'a str, &'a str)],
    /// What stands for `{name}` in an include.
    pub(crate) choices: &'a [(&'a str, &'a str)],
    /// Declarations of constants, by name.
    pub(crate) constants: &'a BTreeMap<&'static str, String>,
    /// Rendered functions, by name.
    pub(crate) rendered: &'a BTreeMap<&'static str, String>,
}

/// One text, and where each of its lines came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Linked {
    text: String,
    origins: Vec<Origin>,
}

/// Where a line came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The file, from the repository's root.
    pub file: String,
    /// The line in it, from one.
    pub line: usize,
    /// What was rendered in place of that line, and which line of it, from one.
    pub rendered: Option<(String, usize)>,
}

/// Why files could not be linked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// The file to start from is not there.
    #[error("there is no shader file {0}")]
    MissingRoot(String),
    /// An included file is not there.
    #[error("{at}: there is no shader file {file}")]
    Missing {
        /// The directive's place.
        at: Origin,
        /// The file that it names.
        file: String,
    },
    /// A file includes itself, by way of others.
    #[error("{at}: includes in a circle: {}", circle.join(" -> "))]
    Cycle {
        /// The directive's place.
        at: Origin,
        /// The files on the way, the first one again at the end.
        circle: Vec<String>,
    },
    /// A line starts like a directive and is none.
    #[error("{at}: no directive: {line}")]
    Directive {
        /// Its place.
        at: Origin,
        /// The line.
        line: String,
    },
    /// A name in braces that stands for nothing.
    #[error("{at}: nothing stands for {{{name}}}")]
    Choice {
        /// The directive's place.
        at: Origin,
        /// The name.
        name: String,
    },
    /// A constant that Rust does not define.
    #[error("{at}: there is no constant {name}")]
    Constant {
        /// The directive's place.
        at: Origin,
        /// The name.
        name: String,
    },
    /// Functions that Rust does not render.
    #[error("{at}: nothing renders {name}")]
    Rendered {
        /// The directive's place.
        at: Origin,
        /// The name.
        name: String,
    },
}

impl Library<'_> {
    /// Links `root` and all that it includes.
    pub(crate) fn link(&self, root: &str) -> Result<Linked, LinkError> {
        let text = self.file(root).ok_or_else(|| LinkError::MissingRoot(file_name(root)))?;
        let mut link = Link { library: self, linked: Linked::default(), done: BTreeSet::new(), open: Vec::new() };
        link.append(root, text)?;
        Ok(link.linked)
    }

    fn file(&self, path: &str) -> Option<&str> {
        self.files.iter().find(|(name, _)| *name == path).map(|(_, text)| *text)
    }
}

impl Linked {
    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Where the line at a byte of the text came from; the last line's origin for a place behind the end.
    #[must_use]
    pub fn origin(&self, byte: usize) -> Option<&Origin> {
        let before = self.text.as_bytes().iter().take(byte);
        let line = before.filter(|byte| **byte == b'\n').count();
        self.origins.get(line).or(self.origins.last())
    }

    fn push(&mut self, line: &str, origin: Origin) {
        self.text.push_str(line);
        self.text.push('\n');
        self.origins.push(origin);
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match &self.rendered {
            Some((name, line)) => write!(f, " (line {line} of {name} as rendered)"),
            None => Ok(()),
        }
    }
}

/// A link on its way.
struct Link<'a> {
    library: &'a Library<'a>,
    linked: Linked,
    /// Files that are in the text.
    done: BTreeSet<String>,
    /// Files that are being read, the outermost first.
    open: Vec<String>,
}

impl Link<'_> {
    fn append(&mut self, path: &str, text: &str) -> Result<(), LinkError> {
        self.open.push(path.to_owned());
        for (index, line) in text.lines().enumerate() {
            let at = Origin { file: file_name(path), line: index + 1, rendered: None };
            match Directive::read(line) {
                None => self.linked.push(line, at),
                Some(Directive::Include(target)) => self.include(at, target)?,
                Some(Directive::Constant(name)) => {
                    let constant = self.library.constants.get(name);
                    let constant = constant.ok_or(LinkError::Constant { at: at.clone(), name: name.to_owned() })?;
                    self.linked.push(constant, at);
                }
                Some(Directive::Render(name)) => {
                    let rendered = self.library.rendered.get(name);
                    let rendered = rendered.ok_or(LinkError::Rendered { at: at.clone(), name: name.to_owned() })?;
                    for (index, line) in rendered.lines().enumerate() {
                        let at = Origin { rendered: Some((name.to_owned(), index + 1)), ..at.clone() };
                        self.linked.push(line, at);
                    }
                }
                Some(Directive::Unknown) => return Err(LinkError::Directive { at, line: line.trim().to_owned() }),
            }
        }
        self.open.pop();
        self.done.insert(path.to_owned());
        Ok(())
    }

    fn include(&mut self, at: Origin, target: &str) -> Result<(), LinkError> {
        let path = format!("lib/{}", self.choose(&at, target)?);
        if let Some(first) = self.open.iter().position(|open| *open == path) {
            let circle = self.open.iter().skip(first).chain([&path]).map(|path| file_name(path)).collect();
            return Err(LinkError::Cycle { at, circle });
        }
        if self.done.contains(&path) {
            return Ok(());
        }
        let library = self.library;
        let text = library.file(&path).ok_or_else(|| LinkError::Missing { at, file: file_name(&path) })?;
        self.append(&path, text)
    }

    /// Replaces names in braces by what stands for them.
    fn choose(&self, at: &Origin, target: &str) -> Result<String, LinkError> {
        let mut path = String::new();
        let mut rest = target;
        while let Some((before, behind)) = rest.split_once('{') {
            let (name, behind) = behind.split_once('}').unwrap_or((behind, ""));
            let choice = self.library.choices.iter().find(|(choice, _)| *choice == name);
            let (_, value) = choice.ok_or_else(|| LinkError::Choice { at: at.clone(), name: name.to_owned() })?;
            path.push_str(before);
            path.push_str(value);
            rest = behind;
        }
        path.push_str(rest);
        Ok(path)
    }
}

enum Directive<'a> {
    Include(&'a str),
    Constant(&'a str),
    Render(&'a str),
    Unknown,
}

impl<'a> Directive<'a> {
    /// `None` for a line of WGSL.
    fn read(line: &'a str) -> Option<Self> {
        // Indented ones too: a directive that is quietly a comment would be a function that is quietly missing.
        let directive = line.trim().strip_prefix("//#")?;
        let (word, operand) = directive.split_once(' ').unwrap_or((directive, ""));
        let is_name = !operand.is_empty() && operand.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        let path = operand.strip_prefix('"').and_then(|operand| operand.strip_suffix('"'));
        Some(match (word, path) {
            ("include", Some(path)) if !path.is_empty() && !path.contains('"') => Self::Include(path),
            ("constant", None) if is_name => Self::Constant(operand),
            ("render", None) if is_name => Self::Render(operand),
            _ => Self::Unknown,
        })
    }
}

fn file_name(path: &str) -> String {
    format!("shaders/{path}.wgsl")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(files: &[(&str, &str)]) -> Result<Linked, LinkError> {
        let constants = BTreeMap::from([("LANES", "const LANES: u32 = 64u;".to_owned())]);
        let rendered = BTreeMap::from([("twice", "fn twice(a: u32) -> u32 {\n    return a + a;\n}".to_owned())]);
        let choices = &[("arithmetic", "u64")];
        Library { files, choices, constants: &constants, rendered: &rendered }.link("kernel/k")
    }

    fn message(files: &[(&str, &str)]) -> String {
        link(files).expect_err("an error").to_string()
    }

    #[test]
    fn a_file_is_included_once_and_before_what_follows() {
        let files =
            [("kernel/k", "//#include \"a\"\n//#include \"b\"\nk"), ("lib/a", "//#include \"b\"\na"), ("lib/b", "b")];
        assert_eq!(link(&files).expect("links").text(), "b\na\nk\n");
    }

    #[test]
    fn a_choice_selects_the_file() {
        let files = [("kernel/k", "//#include \"wide/{arithmetic}\"\nk"), ("lib/wide/u64", "wide")];
        assert_eq!(link(&files).expect("links").text(), "wide\nk\n");
    }

    #[test]
    fn constants_and_rendered_functions_come_from_rust() {
        let files = [("kernel/k", "//#constant LANES\n//#render twice\nk")];
        let text = "const LANES: u32 = 64u;\nfn twice(a: u32) -> u32 {\n    return a + a;\n}\nk\n";
        assert_eq!(link(&files).expect("links").text(), text);
    }

    #[test]
    fn every_line_knows_where_it_came_from() {
        let files = [
            ("kernel/k", "// k1\n//#include \"a\"\nk3\n//#constant LANES\n//#render twice\nk6"),
            ("lib/a", "a1\n//#include \"b\"\na3"),
            ("lib/b", "b1"),
        ];
        let linked = link(&files).expect("links");
        let at = |part: &str| linked.origin(linked.text().find(part).expect(part)).expect("an origin").to_string();
        assert_eq!(at("// k1"), "shaders/kernel/k.wgsl:1");
        assert_eq!(at("a1"), "shaders/lib/a.wgsl:1");
        assert_eq!(at("b1"), "shaders/lib/b.wgsl:1");
        assert_eq!(at("a3"), "shaders/lib/a.wgsl:3");
        assert_eq!(at("k3"), "shaders/kernel/k.wgsl:3");
        assert_eq!(at("const LANES"), "shaders/kernel/k.wgsl:4");
        assert_eq!(at("return a"), "shaders/kernel/k.wgsl:5 (line 2 of twice as rendered)");
        assert_eq!(at("k6"), "shaders/kernel/k.wgsl:6");
        assert_eq!(linked.origin(usize::MAX), linked.origin(linked.text().find("k6").expect("k6")));
    }

    #[test]
    fn errors_name_the_file_and_the_line() {
        assert_eq!(message(&[]), "there is no shader file shaders/kernel/k.wgsl");
        assert_eq!(
            message(&[("kernel/k", "\n//#include \"gone\"")]),
            "shaders/kernel/k.wgsl:2: there is no shader file shaders/lib/gone.wgsl"
        );
        assert_eq!(
            message(&[
                ("kernel/k", "//#include \"a\""),
                ("lib/a", "\n//#include \"b\""),
                ("lib/b", "//#include \"a\"")
            ]),
            "shaders/lib/b.wgsl:1: includes in a circle: shaders/lib/a.wgsl -> shaders/lib/b.wgsl -> shaders/lib/a.wgsl"
        );
        assert_eq!(
            message(&[("kernel/k", "//#include \"a\""), ("lib/a", "//#include \"a\"")]),
            "shaders/lib/a.wgsl:1: includes in a circle: shaders/lib/a.wgsl -> shaders/lib/a.wgsl"
        );
        assert_eq!(
            message(&[("kernel/k", "//#include \"wide/{width}\"")]),
            "shaders/kernel/k.wgsl:1: nothing stands for {width}"
        );
        assert_eq!(message(&[("kernel/k", "//#constant GONE")]), "shaders/kernel/k.wgsl:1: there is no constant GONE");
        assert_eq!(message(&[("kernel/k", "//#render gone")]), "shaders/kernel/k.wgsl:1: nothing renders gone");
    }

    #[test]
    fn what_starts_like_a_directive_and_is_none_is_an_error() {
        for line in [
            "//#include a",
            "//#include \"\"",
            "//#include \"a\" \"b\"",
            "//#import \"a\"",
            "//#constant",
            "//#constant \"LANES\"",
            "//#render two names",
            "    //#includes \"a\"",
            "//#",
        ] {
            let expected = format!("shaders/kernel/k.wgsl:1: no directive: {}", line.trim());
            assert_eq!(message(&[("kernel/k", line), ("lib/a", "")]), expected);
        }
    }
}
