//! What is kept on disk between runs: compiled pipelines, and which variant an adapter is faster with.
//!
//! A file is `MAGIC`, SHA-256 of the key it was written under, SHA-256 of what follows, and what follows. The key names all that the
//! content depends on, so that a driver's update or a changed kernel makes a file foreign. What cannot be read counts as absent, with
//! a warning, and so does what cannot be written.

use std::fmt::Write as _;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::device::Adapter;
use super::shader::{self, Arithmetic};
use crate::cpu::sha256;

const MAGIC: [u8; 8] = *b"phalanx1";

/// Bytes before the content.
const HEADER: usize = 8 + 32 + 32;

/// The most that a file may have.
const MOST_BYTES: u64 = 64 << 20;

/// The variable that names another folder.
const FOLDER_VARIABLE: &str = "PHALANX_CACHE_DIR";

/// The folder of the cache.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    folder: PathBuf,
}

/// The pipelines of an adapter and variant.
#[derive(Clone, Debug)]
pub(super) struct StoredPipelines {
    cache: Cache,
    key: String,
}

impl Cache {
    /// `PHALANX_CACHE_DIR`, or `phalanx` in the platform's folder for caches; `None` where there is neither, or the variable is empty.
    pub(crate) fn find() -> Option<Self> {
        let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
            return (!folder.is_empty()).then(|| Self { folder: folder.into() });
        }
        let home = || variable("HOME");
        let caches = if cfg!(target_os = "macos") {
            home().map(|home| home.join("Library/Caches"))
        } else if cfg!(windows) {
            variable("LOCALAPPDATA")
        } else {
            // The base directory specification wants relative paths ignored.
            let named = variable("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
            named.or_else(|| home().map(|home| home.join(".cache")))
        };
        caches.map(|caches| Self { folder: caches.join("phalanx") })
    }

    #[cfg(test)]
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// What was written under this key; `None` where there is nothing, or nothing that can be trusted to be it.
    pub(crate) fn read(&self, kind: &str, key: &str) -> Option<Vec<u8>> {
        let path = self.path(kind, key);
        match read_file(&path, key) {
            Ok(content) => content,
            Err(problem) => {
                tracing::warn!(file = %path.display(), %problem, "ignoring a file of the cache");
                None
            }
        }
    }

    /// Writes under this key: whole, or not at all.
    pub(crate) fn write(&self, kind: &str, key: &str, content: &[u8]) {
        let path = self.path(kind, key);
        if let Err(problem) = write_file(&path, key, content) {
            tracing::warn!(file = %path.display(), %problem, "could not write a file of the cache");
        }
    }

    fn path(&self, kind: &str, key: &str) -> PathBuf {
        let mut name = String::new();
        for byte in &sha256(key.as_bytes())[..8] {
            let _ = write!(name, "{byte:02x}");
        }
        self.folder.join(format!("{name}.{kind}"))
    }
}

impl StoredPipelines {
    pub(super) fn new(cache: Cache, adapter: &Adapter, arithmetic: Arithmetic) -> Self {
        Self { cache, key: key(adapter, Some(arithmetic)) }
    }

    /// The device's pipeline cache, with what was stored.
    pub(super) fn open(&self, device: &wgpu::Device) -> wgpu::PipelineCache {
        let stored = self.cache.read("pipelines", &self.key);
        create(device, stored.as_deref())
    }

    /// Stores what a device's pipeline cache has.
    pub(super) fn store(&self, pipelines: &[u8]) {
        if pipelines.len() as u64 <= MOST_BYTES {
            self.cache.write("pipelines", &self.key, pipelines);
        }
    }
}

#[allow(unsafe_code, reason = "drivers compile for seconds what they load in milliseconds, and wgpu has no other way")]
fn create(device: &wgpu::Device, stored: Option<&[u8]>) -> wgpu::PipelineCache {
    // SAFETY: the data came from `PipelineCache::get_data`: the file's header has the hash of the adapter, driver, kernels and version
    // it was taken from, which are this device's, and the hash of the data itself, so that it is what was written. wgpu and the
    // driver check their own headers besides.
    unsafe {
        device.create_pipeline_cache(&wgpu::PipelineCacheDescriptor {
            label: Some("phalanx"),
            data: stored,
            fallback: true,
        })
    }
}

/// All that what is stored depends on.
pub(super) fn key(adapter: &Adapter, arithmetic: Option<Arithmetic>) -> String {
    let shaders = arithmetic.map_or_else(|| Arithmetic::ALL.map(shader::digest).concat(), shader::digest);
    format!("{}\n{}\n{shaders}", env!("CARGO_PKG_VERSION"), adapter.identity())
}

fn read_file(path: &Path, key: &str) -> io::Result<Option<Vec<u8>>> {
    let file = match std::fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let invalid = |problem| io::Error::new(io::ErrorKind::InvalidData, problem);
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + HEADER as u64 + 1).read_to_end(&mut bytes)?;
    let (header, content) = bytes.split_at_checked(HEADER).ok_or_else(|| invalid("it is too short"))?;
    if content.len() as u64 > MOST_BYTES {
        return Err(invalid("it is too long"));
    }
    if header[..8] != MAGIC {
        return Err(invalid("it is no file of this cache"));
    }
    if header[8..40] != sha256(key.as_bytes()) {
        return Err(invalid("it belongs to another adapter, driver or version"));
    }
    if header[40..] != sha256(content) {
        return Err(invalid("it is corrupt"));
    }
    Ok(Some(content.to_vec()))
}

fn write_file(path: &Path, key: &str, content: &[u8]) -> io::Result<()> {
    static TURN: AtomicU32 = AtomicU32::new(0);
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    std::fs::create_dir_all(folder)?;
    let turn = TURN.fetch_add(1, Ordering::Relaxed);
    let draft = path.with_extension(format!("{}-{turn}.draft", std::process::id()));
    let written = (|| {
        let mut file = std::fs::File::create(&draft)?;
        for part in [&MAGIC[..], &sha256(key.as_bytes()), &sha256(content), content] {
            file.write_all(part)?;
        }
        file.sync_all()?;
        std::fs::rename(&draft, path)
    })();
    if written.is_err() {
        let _ = std::fs::remove_file(&draft);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that goes when it is dropped.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("phalanx-cache-{}-{name}", std::process::id()));
            let _ = std::fs::remove_dir_all(&folder);
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn what_was_written_is_read_back_under_its_key_only() {
        let folder = Folder::new("roundtrip");
        let cache = Cache::at(folder.0.clone());
        assert_eq!(cache.read("kind", "a key"), None);
        for content in [&b""[..], b"one", b"another that is longer"] {
            cache.write("kind", "a key", content);
            assert_eq!(cache.read("kind", "a key").as_deref(), Some(content));
        }
        assert_eq!(cache.read("kind", "another key"), None);
        assert_eq!(cache.read("other", "a key"), None);
        let left: Vec<_> = folder.0.read_dir().expect("a folder").collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn every_byte_that_changes_makes_a_file_nothing() {
        let folder = Folder::new("corrupt");
        let cache = Cache::at(folder.0.clone());
        cache.write("kind", "key", b"content");
        let path = cache.path("kind", "key");
        let whole = std::fs::read(&path).expect("a file");
        for at in 0..whole.len() {
            let mut changed = whole.clone();
            changed[at] ^= 0x10;
            std::fs::write(&path, &changed).expect("a file");
            assert_eq!(cache.read("kind", "key"), None, "byte {at}");
            std::fs::write(&path, &whole[..at]).expect("a file");
            assert_eq!(cache.read("kind", "key"), None, "cut at {at}");
        }
        std::fs::write(&path, [&whole[..], b"x"].concat()).expect("a file");
        assert_eq!(cache.read("kind", "key"), None);
        // A file of another key under this name.
        cache.write("kind", "other", b"content");
        std::fs::rename(cache.path("kind", "other"), &path).expect("renames");
        assert_eq!(cache.read("kind", "key"), None);
        std::fs::write(&path, &whole).expect("a file");
        assert_eq!(cache.read("kind", "key").as_deref(), Some(&b"content"[..]));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_no_failure() {
        let folder = Folder::new("file-in-the-way");
        std::fs::write(&folder.0, b"a file").expect("a file");
        let cache = Cache::at(folder.0.join("below"));
        cache.write("kind", "key", b"content");
        assert_eq!(cache.read("kind", "key"), None);
        let _ = std::fs::remove_file(&folder.0);
    }
}
