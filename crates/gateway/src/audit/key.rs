//! The signing key of the record: a PKCS#8 file that only its owner can read, and the public key beside it.
//!
//! A rotation takes three steps: the next key is kept under another name, the record names it, it gets the usual name.
//! Whichever step was the last before a crash, the record says which of the two files signs from there ([`settle`]).

use aws_lc_rs::signature::Ed25519KeyPair;
use doorward_core::audit::checkpoint::{BadKey, PublicKey, Signer};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use zeroize::Zeroizing;

/// Name of the private key in the state directory.
pub const PRIVATE: &str = "audit-key.pk8";

/// Name of the next private key while a rotation is under way.
pub const NEXT: &str = "audit-key.next.pk8";

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

/// The signing keys of `directory`: the present one, and the next one where a rotation was cut short. Makes a key if
/// there is none; of two racing makers one wins and both use its key.
///
/// # Errors
/// [`KeyError`].
pub fn load_all(directory: &Path) -> Result<Vec<Signer>, KeyError> {
    let path = directory.join(PRIVATE);
    if !path.try_exists()? {
        create(directory, PRIVATE)?;
    }
    let mut signers = vec![load(&path)?];
    let next = directory.join(NEXT);
    if next.try_exists()? {
        signers.push(load(&next)?);
    }
    Ok(signers)
}

/// The present signing key of `directory`, as [`load_all`], with its public key beside it.
///
/// # Errors
/// [`KeyError`].
pub fn load_or_create(directory: &Path) -> Result<Signer, KeyError> {
    let signer = load_all(directory)?.into_iter().next().ok_or(KeyError::Made)?;
    publish(directory, &signer)?;
    Ok(signer)
}

/// First step of a rotation: a next key, kept where the next start finds it. One that is there already is used.
///
/// # Errors
/// [`KeyError`].
pub fn prepare(directory: &Path) -> Result<Signer, KeyError> {
    let path = directory.join(NEXT);
    if !path.try_exists()? {
        create(directory, NEXT)?;
    }
    load(&path)
}

/// Last step of a rotation, and the first of every start: the key with which the record goes on gets the usual name and
/// the public key is put beside it. A next key that the record does not name is dropped. The record must be on the disk.
///
/// # Errors
/// [`KeyError`]; both files are still there then.
pub fn settle(directory: &Path, chain: PublicKey) -> Result<(), KeyError> {
    let (path, next) = (directory.join(PRIVATE), directory.join(NEXT));
    if next.try_exists()? {
        if load(&next)?.public() == chain {
            fs::rename(&next, &path)?;
        } else {
            fs::remove_file(&next)?;
        }
        File::open(directory)?.sync_all()?;
    }
    publish(directory, &load(&path)?)?;
    // Whoever settles holds the record, so these are drafts of makers that were killed.
    for entry in fs::read_dir(directory)? {
        let name = entry?.file_name();
        let draft = |of: &str| name.to_str().and_then(|name| name.strip_prefix(of)).is_some_and(|rest| rest.starts_with('.'));
        if draft(NEXT) || draft(PUBLIC) {
            fs::remove_file(directory.join(&name))?;
        }
    }
    Ok(())
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
fn create(directory: &Path, name: &str) -> Result<(), KeyError> {
    let document = Ed25519KeyPair::generate().and_then(|pair| pair.to_pkcs8v1()).map_err(|_| KeyError::Made)?;
    let draft = directory.join(draft(name)?);
    let mut file = open(OpenOptions::new().write(true).create_new(true).mode(0o600), &draft)?;
    let linked =
        file.write_all(document.as_ref()).and_then(|()| file.sync_all()).and_then(|()| fs::hard_link(&draft, directory.join(name)));
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(File::open(directory)?.sync_all()?),
    }
}

/// A name that no other maker has, nor one that was killed: process ids come again, in containers always.
fn draft(name: &str) -> Result<String, KeyError> {
    let mut random = [0_u8; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| KeyError::Made)?;
    Ok(format!("{name}.{:016x}", u64::from_be_bytes(random)))
}

fn publish(directory: &Path, signer: &Signer) -> Result<(), KeyError> {
    let (path, text) = (directory.join(PUBLIC), format!("{}\n", signer.public()));
    if fs::read_to_string(&path).is_ok_and(|present| present == text) {
        return Ok(());
    }
    let draft = directory.join(draft(PUBLIC)?);
    let mut file = open(OpenOptions::new().write(true).create_new(true).mode(0o644), &draft)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).and_then(|()| fs::rename(&draft, &path))?;
    Ok(())
}

fn open(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    options.custom_flags(super::medium::NO_FOLLOW).open(path)
}
