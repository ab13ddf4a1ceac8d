//! `cargo xtask test`: every test, with a Vulkan driver for those that want one.

use std::path::Path;
use std::process::Command;

use crate::process::{cargo, output, run};

/// The package with the software driver lavapipe, on Debian and Ubuntu.
const SOFTWARE_DRIVER: &str = "mesa-vulkan-drivers";

/// The package with a second driver, `SwiftShader`, and with a second compiler of WGSL, on Debian.
const BROWSER: &str = "chromium";

/// Where Vulkan's loader looks for drivers.
const DRIVER_FOLDERS: [&str; 3] = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];

pub(crate) fn test(arguments: &[String]) -> Result<(), String> {
    if cfg!(target_os = "linux") {
        provide(SOFTWARE_DRIVER, has_driver());
        provide(BROWSER, output(BROWSER, &["--version"]).is_some());
    }
    // With the chore that looks at kernels, whose promise is a test too.
    run(cargo().args(["test", "--workspace", "--features", "xtask/gpu"]).args(arguments))
}

/// Installs a package that tests of kernels want if it is not there, and says how if it may not. That it cannot be had is no
/// failure: the CPU's tests want none, and the others say that they were skipped.
fn provide(package: &str, is_there: bool) {
    if is_there {
        return;
    }
    let Some(mut apt) = apt_get() else {
        eprintln!("xtask: kernels are tested on more with {package}: sudo apt-get install {package}");
        return;
    };
    eprintln!("xtask: installing {package}, for the tests of kernels");
    let updated = run(apt().args(["update", "-qq"]));
    let install = ["install", "-y", "-qq", "--no-install-recommends", package];
    if let Err(problem) = updated.and_then(|()| run(apt().args(install))) {
        eprintln!("xtask: {problem}; going on without {package}");
    }
}

fn has_driver() -> bool {
    let named = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"].iter().any(|name| std::env::var_os(name).is_some());
    let in_folder = |folder: &str| {
        let entries = Path::new(folder).read_dir().into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).any(|path| path.extension().is_some_and(|extension| extension == "json"))
    };
    named || DRIVER_FOLDERS.iter().any(|folder| in_folder(folder))
}

/// How to call apt-get with the right to install, if there is a way that asks nobody.
fn apt_get() -> Option<impl FnMut() -> Command> {
    output("apt-get", &["--version"])?;
    let root = output("id", &["-u"]).as_deref() == Some("0");
    if !root && output("sudo", &["-n", "true"]).is_none() {
        return None;
    }
    Some(move || {
        let mut command = Command::new(if root { "apt-get" } else { "sudo" });
        if !root {
            command.args(["-n", "apt-get"]);
        }
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    })
}
