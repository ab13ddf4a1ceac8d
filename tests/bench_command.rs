//! `phalanx bench` measures, its JSON is as its schema says, and its page renders and asks for nothing.
#![cfg(feature = "cli")]

#[path = "common/command.rs"]
mod command;
#[path = "common/page.rs"]
mod page;

use command::{Folder, run};
use page::{Browser, Picture, without_policy};
use serde_json::Value;

/// Everything, in little time.
const QUICK: [&str; 6] = ["bench", "--quick", "--max-batch", "256", "--backend", "cpu"];

const SCHEMES: [&str; 4] = ["ecdsa recover", "ecdsa verify", "keccak256, 200 bytes", "sha256d, 64 bytes"];

#[test]
fn json_is_as_its_schema_says() {
    let folder = Folder::new("bench-json");
    let ran = run([&QUICK[..], &["--json"]].concat());
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../src/report/bench/schema.json")).unwrap();
    assert_eq!(violation(&schema, &report, "report"), None);
    assert!(report.get("changes").is_none());
    let cells = report["cells"].as_array().unwrap();
    let on_cpu = |scheme: &str| -> Vec<&Value> {
        cells.iter().filter(|cell| cell["scheme"] == scheme && cell["backend"] == "cpu").collect()
    };
    for scheme in SCHEMES {
        let sizes: Vec<_> = on_cpu(scheme).iter().map(|cell| cell["batch"].as_u64().unwrap()).collect();
        assert_eq!(sizes, [16, 64, 256], "{scheme}");
        for cell in on_cpu(scheme) {
            let number = |name: &str| cell[name].as_f64().unwrap();
            assert!(number("p50") > 0.0 && number("p50") <= number("p95") && number("p95") <= number("p99"), "{cell}");
            assert!((number("batch") / number("p50") / number("per_second") - 1.0).abs() < 1e-9, "{cell}");
            assert!(number("samples") >= 3.0 && number("warm_ups") >= 1.0, "{cell}");
            assert!(number("bytes_in") >= 64.0 * number("batch"), "{cell}");
        }
        assert_eq!(
            report["cold_starts"].as_array().unwrap().iter().filter(|start| start["scheme"] == scheme).count(),
            1
        );
    }

    // What was written is read back, and compared cell by cell.
    let earlier = folder.path("earlier.json");
    std::fs::write(&earlier, &ran.stdout).unwrap();
    let again = run([&QUICK[..], &["--json", "--compare", &earlier]].concat());
    assert_eq!((again.stderr.as_str(), again.status), ("", Some(0)));
    let again: Value = serde_json::from_str(&again.stdout).unwrap();
    assert_eq!(violation(&schema, &again, "report"), None);
    let changes = again["changes"].as_array().unwrap();
    assert_eq!(changes.len(), cells.len());
    for (change, cell) in changes.iter().zip(cells) {
        assert_eq!(
            (&change["scheme"], &change["batch"], &change["before"]),
            (&cell["scheme"], &cell["batch"], &cell["per_second"])
        );
    }
}

#[test]
fn a_gpu_answers_every_scheme_and_its_kernels_are_timed() {
    let devices = run(["devices", "--list", "--json"]);
    let devices: Value = serde_json::from_str(&devices.stdout).unwrap();
    let has_clock = |device: &&Value| device["features"].as_array().unwrap().contains(&"timestamps".into());
    let Some(device) = devices["devices"].as_array().unwrap()[1..].iter().find(has_clock) else {
        println!("SKIPPED: there is no adapter that tells the time");
        return;
    };
    let name = device["name"].as_str().unwrap();
    let ran = run(["bench", "--quick", "--max-batch", "64", "--json", "--backend", name]);
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    let schema: Value = serde_json::from_str(include_str!("../src/report/bench/schema.json")).unwrap();
    assert_eq!(violation(&schema, &report, "report"), None);
    let cells = report["cells"].as_array().unwrap();
    for scheme in SCHEMES {
        let on_gpu: Vec<_> = cells.iter().filter(|cell| cell["scheme"] == scheme && cell["backend"] == "gpu").collect();
        assert_eq!(on_gpu.len(), 2, "{scheme}");
        for cell in on_gpu {
            let kernels = cell["kernels"].as_array().unwrap();
            let sum: f64 = kernels.iter().map(|kernel| kernel["seconds"].as_f64().unwrap()).sum();
            let all = cell["kernel_seconds"].as_f64().unwrap();
            assert!(!kernels.is_empty() && all > 0.0 && (sum / all - 1.0).abs() < 1e-9, "{cell}");
            assert!(kernels.iter().all(|kernel| !kernel["kernel"].as_str().unwrap().is_empty()), "{cell}");
        }
    }
    let on_cpu = |cell: &&Value| cell["backend"] == "cpu";
    assert!(cells.iter().filter(on_cpu).all(|cell| cell["kernel_seconds"].is_null() && cell.get("kernels").is_none()));
}

#[test]
fn a_schema_finds_what_is_wrong() {
    let schema: Value = serde_json::from_str(include_str!("../src/report/bench/schema.json")).unwrap();
    let report = |change: fn(&mut Value)| {
        let mut report: Value = serde_json::from_str(
            r#"{"schema": "phalanx-bench/1", "version": "1", "command": "", "unix_time": 1, "seconds": 1.5,
                "hardware": {"cpu": "", "cores": 1, "system": "", "lanes": []}, "backends": [], "cold_starts": [],
                "cells": [], "skipped": [], "crossovers": [], "warnings": []}"#,
        )
        .unwrap();
        change(&mut report);
        violation(&schema, &report, "report")
    };
    assert_eq!(report(|_| ()), None);
    let wrong: [fn(&mut Value); 6] = [
        |report| report["seconds"] = "1".into(),
        |report| report["unix_time"] = 1.5.into(),
        |report| report["schema"] = "phalanx-bench/2".into(),
        |report| report["hardware"]["lanes"] = vec![1].into(),
        |report| report["unknown"] = 1.into(),
        |report| drop(report.as_object_mut().unwrap().remove("cells")),
    ];
    for change in wrong {
        assert!(report(change).is_some());
    }
}

#[test]
fn tables_and_csv_are_printed() {
    let ran = run(QUICK);
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    for expected in SCHEMES.iter().chain(&["per second", "p99", "cold start of", "samples"]) {
        assert!(ran.stdout.contains(expected), "{expected} is not in\n{}", ran.stdout);
    }
    let ran = run([&QUICK[..], &["--csv"]].concat());
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    // A heading, and a line for each of three sizes.
    assert_eq!(ran.stdout.trim_end().lines().count(), 1 + 3 * SCHEMES.len());
}

#[test]
fn what_cannot_be_done_is_said_before_anything_is_measured() {
    let folder = Folder::new("bench-errors");
    let missing = folder.path("missing.json");
    let line = run(["bench", "--compare", &missing]).the_line().to_owned();
    assert!(line.starts_with(&missing), "{line}");
    let wrong = folder.path("wrong.json");
    std::fs::write(&wrong, "{\"schema\": 1}").unwrap();
    let line = run(["bench", "--compare", &wrong]).the_line().to_owned();
    assert!(line.contains("no report of bench: "), "{line}");
    let page = folder.path("no/such/folder.html");
    let line = run([&QUICK[..], &["--html", &page]].concat()).the_line().to_owned();
    assert!(line.starts_with(&page), "{line}");
    for arguments in
        [&["--quick", "--full"][..], &["--json", "--csv"], &["--max-batch", "15"], &["--max-batch", "1048577"]]
    {
        assert_eq!(run([&["bench"], arguments].concat()).status, Some(2), "{arguments:?}");
    }
}

#[test]
fn the_page_renders_in_light_and_dark_and_on_a_phone_and_asks_for_nothing() {
    let folder = Folder::new("bench-page");
    let page = folder.path("report.html");
    let ran = run([&QUICK[..], &["--html", &page]].concat());
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)));
    let text = std::fs::read_to_string(&page).unwrap();
    assert_eq!(text.matches("<svg").count(), 2 * SCHEMES.len());
    assert_eq!(text.matches("<circle").count(), 3 * 3 * SCHEMES.len(), "throughput, median and 99th percentile");
    assert!(text.contains("--html"), "the exact command");

    let Some(browser) = Browser::find() else { return };
    for (width, dark) in [(1_200, false), (1_200, true), (390, false), (390, true)] {
        let picture = browser.screenshot(&folder, &page, width, dark);
        let [paper, series] =
            if dark { [[0x14, 0x17, 0x1a], [0x74, 0xa7, 0xff]] } else { [[0xff; 3], [0x1d, 0x5f, 0xd1]] };
        assert_eq!(picture.pixel(2, 2), paper, "{width} wide, dark: {dark}");
        // Dots of radius 3, at least: the plots are drawn, in the colour meant for that paper.
        assert!(picture.count(series) > 8 * 28, "{width} wide, dark: {dark}: {}", picture.count(series));
        let ink = Picture::contrast(paper, if dark { [0xe8, 0xea, 0xed] } else { [0x1c, 0x20, 0x24] });
        assert!(ink > 7.0 && Picture::contrast(paper, series) > 4.5, "{ink}");
        assert!(picture.rows_with_ink(paper) > 300, "{width} wide, dark: {dark}");
    }
    // Nothing but tables, which scroll by themselves, is wider than a phone.
    let widths = browser.widths(&folder, &text, 390);
    assert_eq!(widths.document, widths.window);
    assert!(widths.window <= 500, "{widths:?}");
    assert_eq!(widths.tables, SCHEMES.len() + 1, "{widths:?}");
    assert!(widths.narrowest_plot > 300, "{widths:?}");

    assert_eq!(browser.requests(&folder, &page), [""; 0]);
    // Requests are seen where there are any, and the page's policy keeps it from making them.
    let address = "http://phalanx.invalid/picture.png";
    let asking = text.replace("</body>", &format!("<img src=\"{address}\"></body>"));
    for (page, expected) in [(without_policy(&asking), &[address][..]), (asking, &[])] {
        let file = folder.path("asking.html");
        std::fs::write(&file, page).unwrap();
        assert_eq!(browser.requests(&folder, &file), expected);
    }
}

/// Why `value` is not as `schema` says, as far as the schema here goes: types, names, enumerations, items.
fn violation(schema: &Value, value: &Value, place: &str) -> Option<String> {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        _ => panic!("{place}: the schema has type {name}"),
    };
    let types = match &schema["type"] {
        Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
        other => vec![other.as_str().unwrap_or_else(|| panic!("{place}: the schema has no type"))],
    };
    if !types.into_iter().any(is) {
        return Some(format!("{place} is {value}"));
    }
    if schema["enum"].as_array().is_some_and(|values| !values.contains(value)) {
        return Some(format!("{place} is {value}"));
    }
    if let Value::Array(items) = value {
        return items.iter().find_map(|item| violation(&schema["items"], item, &format!("{place}[]")));
    }
    let object = value.as_object()?;
    let properties = schema["properties"].as_object().unwrap();
    let required = schema["required"].as_array().unwrap().iter().filter_map(Value::as_str);
    let missing = required.into_iter().find(|name| !object.contains_key(*name));
    if let Some(missing) = missing {
        return Some(format!("{place} has no {missing}"));
    }
    object.iter().find_map(|(name, value)| match properties.get(name) {
        Some(schema) => violation(schema, value, &format!("{place}.{name}")),
        None => Some(format!("{place} has {name}")),
    })
}
