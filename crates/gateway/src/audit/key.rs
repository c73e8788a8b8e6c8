//! The signing key of the record: a PKCS#8 file that only its owner can read, and the public key beside it.

use aws_lc_rs::signature::Ed25519KeyPair;
use doorward_core::audit::checkpoint::{BadKey, Signer};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Name of the private key in the state directory.
pub const PRIVATE: &str = "audit-key.pk8";

/// Name of the public key in the state directory: 64 hex digits and a newline.
pub const PUBLIC: &str = "audit-key.pub";

/// Why there is no signing key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("the signing key of the record: {0}")]
    Io(#[from] io::Error),
    /// Others may read or write it.
    #[error("the signing key of the record is readable by others (mode {0:o}): make it 0600 and rotate it")]
    Exposed(u32),
    /// It is something else.
    #[error("the signing key file of the record is {0}")]
    Bad(#[from] BadKey),
    /// No key could be made.
    #[error("no signing key could be made")]
    Made,
}

/// The signing key of `directory`; makes one if there is none. Of two racing makers one wins and both use its key.
///
/// # Errors
/// [`KeyError`].
pub fn load_or_create(directory: &Path) -> Result<Signer, KeyError> {
    let path = directory.join(PRIVATE);
    if !path.try_exists()? {
        create(directory, &path)?;
    }
    let signer = load(&path)?;
    publish(directory, &signer)?;
    Ok(signer)
}

fn load(path: &Path) -> Result<Signer, KeyError> {
    let file = open(OpenOptions::new().read(true), path)?;
    let mode = file.metadata()?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeyError::Exposed(mode));
    }
    let mut document = Zeroizing::new(Vec::with_capacity(256));
    file.take(4096).read_to_end(&mut document)?;
    Ok(Signer::from_pkcs8(&document)?)
}

/// Complete under another name first, so that no reader and no crash ever sees half a key.
fn create(directory: &Path, path: &Path) -> Result<(), KeyError> {
    let document = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()).map_err(|_| KeyError::Made)?;
    let draft = directory.join(format!("{PRIVATE}.{}.{:?}", std::process::id(), std::thread::current().id()));
    let mut file = open(OpenOptions::new().write(true).create_new(true).mode(0o600), &draft)?;
    let linked = file.write_all(document.as_ref()).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, path));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(File::open(directory)?.sync_all()?),
    }
}

fn publish(directory: &Path, signer: &Signer) -> Result<(), KeyError> {
    let (path, text) = (directory.join(PUBLIC), format!("{}\n", signer.public()));
    if fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    let mut file = open(OpenOptions::new().write(true).create(true).truncate(true).mode(0o644), &path)?;
    Ok(file.write_all(text.as_bytes())?)
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(super::medium::NO_FOLLOW).open(path)
}
