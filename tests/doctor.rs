//! `phalanx doctor` on the machine of the test: what each trap leads to is tested beside the traps.
#![cfg(all(feature = "cli", feature = "gpu", target_os = "linux"))]

#[path = "common/command.rs"]
mod command;

use command::{Ran, command};
use serde_json::Value;

/// Runs the command without what the surroundings say about drivers.
fn doctor(arguments: &[&str], environment: &[(&str, &str)]) -> Ran {
    let mut command = command([&["doctor"], arguments].concat());
    command.env_remove("VK_DRIVER_FILES").env_remove("VK_ICD_FILENAMES").envs(environment.iter().copied());
    Ran::new(command.output().unwrap())
}

fn findings(ran: &Ran) -> Vec<Value> {
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    report["findings"].as_array().unwrap().clone()
}

#[test]
fn software_adapters_alone_are_nothing_to_mend() {
    let manifest = "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json";
    if !std::path::Path::new(manifest).exists() {
        println!("SKIPPED: no {manifest}");
        return;
    }
    let environment = [("VK_DRIVER_FILES", manifest)];
    let ran = doctor(&["--json"], &environment);
    let report: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.stderr.as_str(), ran.status), ("", Some(0)), "{report:#}");
    assert_eq!(report["facts"]["linux"]["drivers"][0]["has_library"], true, "{report:#}");
    assert!(report["facts"]["adapters"].as_array().unwrap().iter().all(|adapter| adapter["is_software"] == true));
    let found = findings(&ran);
    let last = found.last().unwrap();
    assert_eq!((&last["check"], &last["state"]), (&"adapters".into(), &"note".into()), "{last}");
    assert!(last["what"].as_str().unwrap().contains("llvmpipe"), "{last}");
    // The same for people: a line for each finding.
    let text = doctor(&[], &environment);
    assert_eq!((text.status, text.stdout.lines().count()), (Some(0), found.len()), "{}", text.stdout);
    assert!(
        text.stdout.lines().all(|line| line.starts_with("well  ") || line.starts_with("note  ")),
        "{}",
        text.stdout
    );
}

#[test]
fn drivers_that_are_named_and_not_there_are_to_be_mended() {
    for variable in ["VK_ICD_FILENAMES", "VK_DRIVER_FILES"] {
        let ran = doctor(&["--json"], &[(variable, "/no/such/driver.json")]);
        assert_eq!(ran.status, Some(1), "{}", ran.stdout);
        let found = findings(&ran);
        let is_it = |finding: &&Value| finding["check"] == "vulkan-driver" && finding["state"] == "mend";
        let finding = found.iter().find(is_it).unwrap_or_else(|| panic!("{found:#?}"));
        assert!(finding["what"].as_str().unwrap().starts_with(&format!("{variable} names /no/such/driver.json")));
        let text = doctor(&[], &[(variable, "/no/such/driver.json")]);
        assert_eq!(text.status, Some(1));
        let line = text.stdout.lines().find(|line| line.starts_with("MEND  ")).unwrap();
        assert!(line.contains(&format!("unset {variable}")), "{line}");
    }
}
