//! The report as one page that needs nothing else: no script, no file, no address.

use super::plot::{COLOURS, Series, Values, plot};
use super::text::{bytes, change, duration, utc};
use super::{BenchReport, Cell};
use crate::report::{count, rate};

/// A line of a plot: whether its points are joined, and what of a cell it shows.
type Line = (bool, fn(&Cell) -> f64);

/// The page's look: the reader's choice of light or dark, one column on a phone, tables that scroll by themselves.
const STYLE: &str = include_str!("style.css");

impl BenchReport {
    /// The page.
    pub(crate) fn to_html(&self) -> String {
        let mut body = format!("<h1>phalanx bench</h1>\n<p><code>{}</code></p>\n", escaped(&self.command));
        if !self.warnings.is_empty() {
            body += &list("warnings", self.warnings.iter().map(String::as_str));
        }
        body += &self.facts();
        body += "<h2>What follows</h2>\n";
        let conclusions = self.conclusions();
        body += &list("conclusions", conclusions.iter().map(String::as_str));
        for scheme in self.schemes() {
            body += &self.scheme_section(scheme);
        }
        body += &self.cold_start_table();
        body += &self.change_table();
        if !self.skipped.is_empty() {
            body += "<h2>Not measured</h2>\n";
            body += &list("skipped", self.not_measured().iter().map(String::as_str));
        }
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>phalanx bench</title>\n\
             <style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n"
        )
    }

    fn facts(&self) -> String {
        let mut facts = vec![
            ["version".to_owned(), self.version.clone()],
            ["processor".to_owned(), format!("{}, {} cores", self.hardware.cpu, self.hardware.cores)],
            ["system".to_owned(), self.hardware.system.clone()],
            ["hashing".to_owned(), self.hardware.lanes.join("; ")],
        ];
        for backend in &self.backends {
            let driver = backend.driver.as_ref().map(|driver| format!(", {driver}")).unwrap_or_default();
            facts.push([format!("backend {}", backend.name), format!("{}{driver}", backend.device)]);
        }
        facts.push(["took".to_owned(), duration(self.seconds)]);
        facts.push(["began".to_owned(), utc(self.unix_time)]);
        let facts: String = facts
            .iter()
            .map(|[name, fact]| format!("<dt>{}</dt><dd>{}</dd>\n", escaped(name), escaped(fact)))
            .collect();
        format!("<h2>Measured on</h2>\n<dl>\n{facts}</dl>\n")
    }

    fn scheme_section(&self, scheme: &str) -> String {
        let mut section = format!("<section>\n<h2>{}</h2>\n<p class=\"legend\">", escaped(scheme));
        for (colour, backend) in self.backends.iter().enumerate() {
            let colour = colour % COLOURS;
            section += &format!(
                "<span class=\"key\" style=\"--key: var(--series-{colour})\"></span>{} ",
                escaped(&backend.name)
            );
        }
        section += "</p>\n<div class=\"plots\">\n";
        section += &self.figure(scheme, Values::Rate, "items a second", &[(true, |cell| cell.per_second)]);
        section += &self.figure(
            scheme,
            Values::Seconds,
            "latency of a batch: the line is the median, dots alone are the 99th percentile",
            &[(true, |cell| cell.p50), (false, |cell| cell.p99)],
        );
        let cells = self.cells.iter().filter(|cell| cell.scheme == scheme).map(row);
        let heading = [
            "backend",
            "batch",
            "per second",
            "p50",
            "p95",
            "p99",
            "kernel",
            "bytes in",
            "bytes out",
            "samples",
            "outliers",
        ];
        section += &format!("</div>\n{}{}</section>\n", table(heading, cells), self.kernel_table(scheme));
        section
    }

    /// What each kernel takes of the largest batch; nothing where no device has a clock.
    fn kernel_table(&self, scheme: &str) -> String {
        let timed = self.timed(scheme);
        if timed.is_empty() {
            return String::new();
        }
        let rows = timed.into_iter().flat_map(|cell| {
            cell.kernel_shares().into_iter().map(|(kernel, seconds, percent)| {
                let share = format!("{percent:.0} %");
                [cell.backend.clone(), count(cell.batch), kernel.to_owned(), duration(seconds), share]
            })
        });
        format!("<h3>Kernels</h3>\n{}", table(["backend", "batch", "kernel", "of a batch", "of all kernels"], rows))
    }

    fn figure(&self, scheme: &str, values: Values, caption: &str, lines: &[Line]) -> String {
        let mut drawn = Vec::new();
        for (colour, backend) in self.backends.iter().enumerate() {
            let cells = self.series(scheme, &backend.name);
            for (joined, value) in lines {
                #[allow(clippy::cast_precision_loss, reason = "batches are far smaller than 2^53")]
                let points = cells.iter().map(|cell| (cell.batch as f64, value(cell))).collect();
                drawn.push(Series { colour, joined: *joined, points });
            }
        }
        let plot = plot(&format!("{scheme}: {caption}"), values, &drawn);
        plot.map(|svg| format!("<figure>\n{svg}<figcaption>{}</figcaption>\n</figure>\n", escaped(caption)))
            .unwrap_or_default()
    }

    fn cold_start_table(&self) -> String {
        if self.cold_starts.is_empty() {
            return String::new();
        }
        let rows = self
            .cold_starts
            .iter()
            .map(|start| [start.scheme.clone(), start.backend.clone(), count(start.batch), duration(start.seconds)]);
        format!("<h2>Cold start</h2>\n{}", table(["scheme", "backend", "items", "first batch"], rows))
    }

    fn change_table(&self) -> String {
        if self.changes.is_empty() {
            return String::new();
        }
        let rows = self.changes.iter().map(change);
        let heading = ["scheme", "backend", "batch", "before, per second", "now, per second", "ratio"];
        format!("<h2>Beside the earlier report</h2>\n{}", table(heading, rows))
    }
}

fn row(cell: &Cell) -> [String; 11] {
    [
        cell.backend.clone(),
        count(cell.batch),
        rate(cell.per_second),
        duration(cell.p50),
        duration(cell.p95),
        duration(cell.p99),
        cell.kernel_seconds.map_or_else(|| "–".to_owned(), duration),
        bytes(cell.bytes_in),
        bytes(cell.bytes_out),
        count(cell.samples),
        count(cell.outliers),
    ]
}

/// A table of texts under a heading.
fn table<const N: usize>(heading: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let cells = |tag: &str, texts: &[String]| -> String {
        texts.iter().map(|text| format!("<{tag}>{}</{tag}>", escaped(text))).collect()
    };
    let rows: String = rows.into_iter().map(|row| format!("<tr>{}</tr>\n", cells("td", &row))).collect();
    let heading = cells("th", &heading.map(str::to_owned));
    format!(
        "<div class=\"scroll\"><table>\n<thead><tr>{heading}</tr></thead>\n<tbody>\n{rows}</tbody>\n</table></div>\n"
    )
}

fn list<'a>(class: &str, lines: impl Iterator<Item = &'a str>) -> String {
    let items: String = lines.map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
    format!("<ul class=\"{class}\">\n{items}</ul>\n")
}

/// A text from anywhere, a driver's name for instance, that can be no markup.
pub(super) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\'' => escaped += "&#39;",
            c if c.is_control() => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::tests::{cell, report, timed_cell};
    use super::super::{BackendNote, KernelTime, Skipped};

    #[test]
    fn no_text_becomes_markup() {
        let hostile = "<script src=\"http://x/\">&'\u{1b}";
        let mut report = report(vec![cell(hostile, hostile, 16, 0.5), cell(hostile, hostile, 64, 0.5)]);
        report.command = hostile.to_owned();
        report.warnings = vec![hostile.to_owned()];
        report.hardware.cpu = hostile.to_owned();
        report.backends = vec![BackendNote {
            name: hostile.to_owned(),
            device: hostile.to_owned(),
            driver: Some(hostile.to_owned()),
        }];
        report.skipped = vec![Skipped {
            scheme: hostile.to_owned(),
            backend: hostile.to_owned(),
            batch: 1,
            why: hostile.to_owned(),
        }];
        report.cells[0].kernels = vec![KernelTime { kernel: hostile.to_owned(), seconds: 0.1 }];
        let page = report.to_html();
        assert!(!page.contains("<script"));
        assert!(!page.contains('\u{1b}'));
        assert!(page.matches("&lt;script src=&quot;http://x/&quot;&gt;&amp;&#39; ").count() > 10);
        assert_eq!(page.matches("<svg").count(), 2);
    }

    #[test]
    fn the_page_asks_for_nothing() {
        let mut report = report(vec![cell("recover", "cpu", 16, 0.5), cell("recover", "cpu", 64, 0.5)]);
        report.backends = vec![BackendNote { name: "cpu".to_owned(), device: "a processor".to_owned(), driver: None }];
        let page = report.to_html();
        for address in ["src=", "href=", "url(", "@import", "<link", "<script", "<img"] {
            assert!(!page.contains(address), "{address}");
        }
        // The name of SVG's namespace is no address that is asked.
        assert_eq!(
            page.matches("http").count(),
            page.matches("http://www.w3.org/2000/svg").count() + 1,
            "and http-equiv"
        );
    }

    #[test]
    fn kernels_have_a_table() {
        let mut report = report(vec![timed_cell()]);
        report.backends = vec![BackendNote { name: "gpu".to_owned(), device: "a device".to_owned(), driver: None }];
        let row = "<td>gpu</td><td>4,096</td><td>multiply</td><td>500.0 ms</td><td>67 %</td>";
        assert!(report.to_html().contains(row));
    }
}
