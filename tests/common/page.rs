//! A page as a browser shows it: Chromium without a window.

use std::io::Read;
use std::path::PathBuf;
use std::process::Command;

use crate::command::Folder;

/// A browser on this machine.
pub(crate) struct Browser(PathBuf);

/// How wide things are, in pixels.
#[derive(Debug)]
pub(crate) struct Widths {
    pub(crate) window: usize,
    pub(crate) document: usize,
    pub(crate) narrowest_plot: usize,
    /// How many tables there are.
    pub(crate) tables: usize,
}

impl Browser {
    /// The browser that `PHALANX_CHROMIUM` names, or one in the usual places; where there is none the caller's test is
    /// skipped, which is said.
    pub(crate) fn find() -> Option<Self> {
        let named = std::env::var_os("PHALANX_CHROMIUM").map(PathBuf::from);
        let usual = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].map(PathBuf::from);
        let found = named.into_iter().chain(usual).find(|path| path.is_file());
        if found.is_none() {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "SKIPPED: there is no Chromium to look at the page with");
        }
        found.map(Self)
    }

    /// The page in a window of that width, in the reader's choice of light or dark.
    pub(crate) fn screenshot(&self, folder: &Folder, page: &str, width: usize, dark: bool) -> Picture {
        let file = folder.path(&format!("{width}-{dark}.png"));
        // 0 is dark, 1 light.
        let scheme = format!("--blink-settings=preferredColorScheme={}", usize::from(!dark));
        let size = format!("--window-size={width},2400");
        self.run(folder, &[&scheme, &size, "--hide-scrollbars", &format!("--screenshot={file}"), &address(page)]);
        Picture::decode(&std::fs::read(&file).expect("a screenshot"))
    }

    /// Measures a copy of the page that has a script and may run it.
    pub(crate) fn widths(&self, folder: &Folder, page: &str, width: usize) -> Widths {
        let script = "<script>
            const wide = (query) => [...document.querySelectorAll(query)].map((e) => Math.round(e.getBoundingClientRect().width));
            document.title = [innerWidth, document.documentElement.scrollWidth, Math.min(...wide('svg')), wide('table').length].join(' ');
        </script></body>";
        let copy = without_policy(page).replace("</body>", script);
        let file = folder.path("measured.html");
        std::fs::write(&file, copy).unwrap();
        let dom = self
            .run(folder, &[&format!("--window-size={width},800"), "--hide-scrollbars", "--dump-dom", &address(&file)]);
        let title = dom.split("<title>").nth(1).and_then(|rest| rest.split("</title>").next()).expect("a title");
        let numbers: Vec<usize> = title.split(' ').map(|number| number.parse().expect(title)).collect();
        let [window, document, narrowest_plot, tables] = numbers[..] else { panic!("{title}") };
        Widths { window, document, narrowest_plot, tables }
    }

    /// Every address that a page asks for while it is loaded; what the browser asks for on its own account is left out, and
    /// has no name server to leave this machine by.
    pub(crate) fn requests(&self, folder: &Folder, page: &str) -> Vec<String> {
        let log = folder.path("net-log.json");
        self.run(folder, &[&format!("--log-net-log={log}"), "--dump-dom", &address(page)]);
        let log: serde_json::Value = serde_json::from_slice(&std::fs::read(&log).expect("a log")).expect("JSON");
        let events = log["events"].as_array().expect("events");
        let address = |event: &serde_json::Value| {
            let request = &event["params"];
            // A page that is a file is of the origin "null".
            let is_the_pages = request["initiator"].as_str().is_some_and(|initiator| initiator != "not an origin");
            is_the_pages.then(|| request["url"].as_str().map(str::to_owned))?
        };
        events.iter().filter_map(address).collect()
    }

    /// Runs the browser to its end; gives what it prints.
    fn run(&self, folder: &Folder, arguments: &[&str]) -> String {
        let profile = folder.path("profile");
        let quiet = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--disable-dev-shm-usage",
            "--host-resolver-rules=MAP * ~NOTFOUND",
            "--virtual-time-budget=2000",
        ];
        let output = Command::new(&self.0)
            .args(quiet)
            .arg(format!("--user-data-dir={profile}"))
            .args(arguments)
            .output()
            .expect("the browser runs");
        let _ = std::fs::remove_dir_all(&profile);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

/// The page without the policy that keeps it from running scripts and asking for anything.
pub(crate) fn without_policy(page: &str) -> String {
    let policy = page.find("<meta http-equiv").expect("a policy");
    let end = policy + page[policy..].find('>').expect("its end") + 1;
    [&page[..policy], &page[end..]].concat()
}

fn address(file: &str) -> String {
    format!("file://{file}")
}

/// What a screenshot shows: rows of red, green and blue.
pub(crate) struct Picture {
    width: usize,
    pixels: Vec<[u8; 3]>,
}

impl Picture {
    /// Decodes a PNG of 8-bit RGB or RGBA that is not interlaced (RFC 2083), as Chromium writes them.
    fn decode(png: &[u8]) -> Self {
        assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
        let number = |at: usize| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()) as usize;
        let (width, height) = (number(16), number(20));
        let [depth, colour, interlace] = [24, 25, 28].map(|at| png[at]);
        assert_eq!((depth, interlace), (8, 0));
        let channels = match colour {
            2 => 3,
            6 => 4,
            other => panic!("colour type {other}"),
        };
        let mut compressed = Vec::new();
        let mut at = 8;
        while at + 12 <= png.len() {
            let length = number(at);
            if &png[at + 4..at + 8] == b"IDAT" {
                compressed.extend_from_slice(&png[at + 8..at + 8 + length]);
            }
            at += 12 + length;
        }
        let mut filtered = Vec::new();
        flate2::read::ZlibDecoder::new(&compressed[..]).read_to_end(&mut filtered).expect("zlib");
        let stride = width * channels;
        assert_eq!(filtered.len(), height * (stride + 1));
        let mut above = vec![0_u8; stride];
        let mut pixels = Vec::with_capacity(width * height);
        for row in filtered.chunks(stride + 1) {
            let mut line = row[1..].to_vec();
            for index in 0..stride {
                let left = if index < channels { 0 } else { line[index - channels] };
                let corner = if index < channels { 0 } else { above[index - channels] };
                let predicted = match row[0] {
                    0 => 0,
                    1 => left,
                    2 => above[index],
                    3 => u8::midpoint(left, above[index]),
                    4 => paeth(left, above[index], corner),
                    other => panic!("filter {other}"),
                };
                line[index] = line[index].wrapping_add(predicted);
            }
            pixels.extend(line.chunks(channels).map(|pixel| [pixel[0], pixel[1], pixel[2]]));
            above = line;
        }
        Self { width, pixels }
    }

    pub(crate) fn pixel(&self, x: usize, y: usize) -> [u8; 3] {
        self.pixels[y * self.width + x]
    }

    /// How many pixels have exactly that colour.
    pub(crate) fn count(&self, colour: [u8; 3]) -> usize {
        self.pixels.iter().filter(|pixel| **pixel == colour).count()
    }

    /// How many rows show anything but the paper.
    pub(crate) fn rows_with_ink(&self, paper: [u8; 3]) -> usize {
        self.pixels.chunks(self.width).filter(|row| row.iter().any(|pixel| *pixel != paper)).count()
    }

    /// The ratio of the luminances of two colours (WCAG 2.2): 4.5 is asked of text, 7 of good text.
    pub(crate) fn contrast(a: [u8; 3], b: [u8; 3]) -> f64 {
        let luminance = |colour: [u8; 3]| {
            let linear = colour.map(|channel| {
                let channel = f64::from(channel) / 255.0;
                if channel <= 0.040_45 { channel / 12.92 } else { ((channel + 0.055) / 1.055).powf(2.4) }
            });
            0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05
        };
        let (a, b) = (luminance(a), luminance(b));
        a.max(b) / a.min(b)
    }
}

/// The neighbour nearest to their gradient.
fn paeth(left: u8, above: u8, corner: u8) -> u8 {
    let [a, b, c] = [left, above, corner].map(i16::from);
    let estimate = a + b - c;
    let [to_a, to_b, to_c] = [a, b, c].map(|neighbour| (estimate - neighbour).abs());
    if to_a <= to_b && to_a <= to_c {
        left
    } else if to_b <= to_c {
        above
    } else {
        corner
    }
}
