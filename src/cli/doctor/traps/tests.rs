use super::super::facts::{Node, Windows};
use super::*;

/// A machine with a GPU of this maker and all that it wants.
fn healthy(gpu: Hardware) -> Facts {
    let (manifest, name) = match gpu {
        Hardware::Amd => ("radeon_icd.x86_64.json", "Radeon"),
        Hardware::Intel => ("intel_icd.x86_64.json", "Arc"),
        Hardware::Nvidia => ("nvidia_icd.json", "GeForce"),
    };
    let adapter = AdapterFacts {
        name: name.to_owned(),
        vendor: gpu.name().to_owned(),
        driver: "a driver".to_owned(),
        backend: "vulkan".to_owned(),
        binding_bytes: 1 << 30,
        ..AdapterFacts::default()
    };
    let linux = Linux {
        has_loader: true,
        drivers: vec![driver(manifest)],
        nodes: vec![Node { path: "/dev/dri/renderD128".to_owned(), is_open_to_us: true }],
        has_cuda: gpu == Hardware::Nvidia,
        has_runtime_folder: true,
        ..Linux::default()
    };
    Facts {
        system: "linux",
        is_built_with_gpu: true,
        gpus: vec![gpu],
        linux: Some(linux),
        adapters: vec![adapter],
        ..Facts::default()
    }
}

/// A machine without a GPU, on which Mesa runs kernels on the CPU.
fn software_only() -> Facts {
    let mut facts = healthy(Hardware::Amd);
    facts.gpus.clear();
    facts.adapters[0] = AdapterFacts {
        name: "llvmpipe".to_owned(),
        vendor: "Mesa".to_owned(),
        driver: "llvmpipe Mesa 22.3.6".to_owned(),
        is_software: true,
        ..facts.adapters[0].clone()
    };
    linux(&mut facts).nodes.clear();
    linux(&mut facts).drivers = vec![driver("lvp_icd.x86_64.json")];
    facts
}

fn driver(manifest: &str) -> Driver {
    let path = format!("/usr/share/vulkan/icd.d/{manifest}");
    Driver { path, library: Some("libvulkan_x.so".to_owned()), has_library: true }
}

fn linux(facts: &mut Facts) -> &mut Linux {
    facts.linux.get_or_insert_default()
}

/// The only finding that is to be mended.
#[track_caller]
fn mend(facts: &Facts) -> Finding {
    let mut found: Vec<_> = findings(facts).into_iter().filter(|finding| finding.state == State::Mend).collect();
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

#[track_caller]
fn assert_mend(facts: &Facts, check: &str, what: &str, advice: &str) {
    let found = mend(facts);
    assert_eq!(found.check, check, "{found:?}");
    assert!(found.what.contains(what), "{found:?}");
    assert!(found.advice.as_ref().is_some_and(|found| found.contains(advice)), "{found:?}");
}

#[track_caller]
fn assert_note(facts: &Facts, check: &str, what: &str) {
    let found = findings(facts);
    assert!(found.iter().all(|finding| finding.state != State::Mend), "{found:#?}");
    let is_it =
        |finding: &Finding| finding.state == State::Note && finding.check == check && finding.what.contains(what);
    assert!(found.iter().any(is_it), "{found:#?}");
}

#[test]
fn a_healthy_machine_has_nothing_to_mend_and_nothing_to_note() {
    for gpu in Hardware::ALL {
        let found = findings(&healthy(gpu));
        assert!(found.iter().all(|finding| finding.state == State::Well && finding.advice.is_none()), "{found:#?}");
        assert!(found.last().is_some_and(|last| last.what.starts_with("`auto` divides batches")), "{found:#?}");
    }
}

#[test]
fn a_machine_without_a_gpu_has_nothing_to_mend() {
    assert_note(&software_only(), "adapters", "only a software adapter serves, llvmpipe");
    let mut bare = Facts { is_built_with_gpu: true, linux: Some(Linux::default()), ..Facts::default() };
    for (check, what) in
        [("vulkan-loader", "no Vulkan loader"), ("vulkan-driver", "no Vulkan driver"), ("adapters", "no adapter")]
    {
        assert_note(&bare, check, what);
    }
    bare.is_built_with_gpu = false;
    assert_mend(&bare, "build", "without GPUs", "feature `gpu`");
}

#[test]
fn no_loader() {
    for gpu in Hardware::ALL {
        let mut facts = healthy(gpu);
        linux(&mut facts).has_loader = false;
        facts.adapters.clear();
        assert_mend(&facts, "vulkan-loader", "libvulkan.so.1", "install libvulkan1");
    }
    // A GPU that no bus tells of.
    let mut facts = healthy(Hardware::Amd);
    facts.gpus.clear();
    facts.adapters.clear();
    linux(&mut facts).has_loader = false;
    assert_mend(&facts, "vulkan-loader", "libvulkan.so.1", "install libvulkan1");
}

#[test]
fn a_loader_without_a_driver() {
    for gpu in [Hardware::Amd, Hardware::Intel] {
        let mut facts = healthy(gpu);
        linux(&mut facts).drivers.clear();
        facts.adapters.clear();
        assert_mend(&facts, "vulkan-driver", gpu.name(), "mesa-vulkan-drivers");
        // With a software adapter the GPU is idle all the same.
        facts.adapters = software_only().adapters;
        linux(&mut facts).drivers = vec![driver("lvp_icd.x86_64.json")];
        assert_mend(&facts, "vulkan-driver", gpu.name(), "mesa-vulkan-drivers");
    }
}

#[test]
fn an_nvidia_container_without_the_graphics_capability() {
    let mut facts = healthy(Hardware::Nvidia);
    facts.adapters.clear();
    facts.is_container = true;
    let with = |capabilities: Option<&str>, facts: &mut Facts| {
        linux(facts).drivers.clear();
        linux(facts).nvidia_capabilities = capabilities.map(str::to_owned);
    };
    for capabilities in [None, Some("compute,utility"), Some("")] {
        with(capabilities, &mut facts);
        assert_mend(&facts, "nvidia-graphics", "no nvidia_icd.json", "NVIDIA_DRIVER_CAPABILITIES=all");
    }
    // The bus may be hidden from a container; Mesa's driver does not work on NVIDIA's kernel module.
    facts.gpus.clear();
    linux(&mut facts).drivers = vec![driver("nouveau_icd.x86_64.json")];
    assert_mend(&facts, "nvidia-graphics", "no nvidia_icd.json", "NVIDIA_DRIVER_CAPABILITIES=all");
    for capabilities in ["all", "compute, graphics"] {
        with(Some(capabilities), &mut facts);
        assert_mend(&facts, "nvidia-graphics", "no nvidia_icd.json", "the host lacks it");
    }
    with(None, &mut facts);
    facts.is_container = false;
    assert_mend(&facts, "nvidia-graphics", "no nvidia_icd.json", "install the driver's graphics libraries");
}

#[test]
fn manifests_that_the_environment_names() {
    let mut facts = healthy(Hardware::Amd);
    facts.adapters.clear();
    linux(&mut facts).drivers_named_by = Some("VK_ICD_FILENAMES");
    linux(&mut facts).drivers = vec![Driver { path: "/nowhere.json".to_owned(), ..Driver::default() }];
    assert_mend(&facts, "vulkan-driver", "VK_ICD_FILENAMES names /nowhere.json", "unset VK_ICD_FILENAMES");
    linux(&mut facts).drivers.clear();
    assert_mend(&facts, "vulkan-driver", "VK_ICD_FILENAMES names no driver", "unset VK_ICD_FILENAMES");
    // One that is named and works is nobody's mistake.
    let mut facts = software_only();
    linux(&mut facts).drivers_named_by = Some("VK_DRIVER_FILES");
    assert_note(&facts, "adapters", "only a software adapter");
}

#[test]
fn a_manifest_whose_library_is_missing() {
    let mut facts = healthy(Hardware::Intel);
    linux(&mut facts).drivers[0].has_library = false;
    facts.adapters.clear();
    assert_mend(
        &facts,
        "vulkan-driver",
        "intel_icd.x86_64.json is missing (libvulkan_x.so)",
        "install that driver again",
    );
}

#[test]
fn device_files_that_are_closed_or_missing() {
    let mut facts = healthy(Hardware::Amd);
    facts.adapters.clear();
    linux(&mut facts).nodes[0].is_open_to_us = false;
    assert_mend(&facts, "device-files", "/dev/dri/renderD128", "usermod -aG render");
    facts.is_container = true;
    assert_mend(&facts, "device-files", "/dev/dri/renderD128", "--group-add");
    linux(&mut facts).nodes.clear();
    assert_mend(&facts, "device-files", "no file under /dev/dri", "--device /dev/dri");
    facts.is_container = false;
    assert_mend(&facts, "device-files", "no file under /dev/dri", "kernel module");
}

#[test]
fn a_gpu_that_its_driver_does_not_list() {
    for (gpu, advice) in
        [(Hardware::Nvidia, "nvidia-smi"), (Hardware::Amd, "vulkaninfo"), (Hardware::Intel, "vulkaninfo")]
    {
        let mut facts = healthy(gpu);
        facts.adapters.clear();
        assert_mend(&facts, "adapters", gpu.name(), advice);
    }
}

#[test]
fn mesa_without_a_folder_for_sockets() {
    let mut facts = software_only();
    linux(&mut facts).has_runtime_folder = false;
    assert_note(&facts, "runtime-folder", "XDG_RUNTIME_DIR");
    let mut facts = healthy(Hardware::Nvidia);
    linux(&mut facts).has_runtime_folder = false;
    assert!(findings(&facts).iter().all(|finding| finding.state == State::Well));
}

#[test]
fn the_old_compiler_of_dx12() {
    let mut facts = healthy(Hardware::Amd);
    facts.linux = None;
    facts.windows = Some(Windows { has_dxc: false });
    let is_well = |facts: &Facts| findings(facts).iter().all(|finding| finding.state == State::Well);
    assert!(is_well(&facts), "an adapter behind Vulkan has nothing to do with it");
    facts.adapters[0].backend = "dx12".to_owned();
    assert_mend(&facts, "shader-compiler", "FXC", "dxcompiler.dll");
    facts.windows = Some(Windows { has_dxc: true });
    assert!(is_well(&facts));
}

#[test]
fn limits_below_what_kernels_need() {
    let mut facts = healthy(Hardware::Intel);
    facts.adapters[0].binding_bytes = 64 << 20;
    assert_note(&facts, "limits", "67108864 bytes");
    facts.adapters[0].refusals = vec!["max_storage_buffer_binding_size is 1, and 16777216 are needed".to_owned()];
    assert_mend(&facts, "limits", "max_storage_buffer_binding_size is 1", "newer driver");
    let mut facts = software_only();
    facts.adapters[0].refusals = vec!["no compute shaders".to_owned()];
    assert_note(&facts, "limits", "no compute shaders");
    assert_note(&facts, "adapters", "no adapter serves");
}

#[test]
fn makers_are_known_by_their_numbers() {
    assert_eq!([0x1002, 0x8086, 0x10de].map(Hardware::of_vendor), Hardware::ALL.map(Some));
    assert_eq!([0, 0x1234, 0x1af4, 0x1a03].map(Hardware::of_vendor), [None; 4]);
}
