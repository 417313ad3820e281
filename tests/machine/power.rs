//! What a power cut leaves on a disk: all that was synced, and of what was written since anything, in any order and torn
//! between any two sectors.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

/// One thing done to a file.
#[derive(Debug)]
enum Deed {
    Write(u64, Vec<u8>),
    Cut(u64),
    Sync,
    Remove,
}

/// All that was done to the storage, each with where the log was after it; and what was on the disk before.
#[derive(Debug)]
pub(crate) struct History {
    deeds: Vec<(u64, PathBuf, Deed)>,
    before: Image,
}

/// What is on a disk: its files.
pub(crate) type Image = BTreeMap<PathBuf, Vec<u8>>;

impl History {
    pub(crate) fn read(log: &Path) -> Self {
        Self::after(Image::new(), log)
    }

    /// The same of a disk that was not empty.
    pub(crate) fn after(before: Image, log: &Path) -> Self {
        let bytes = fs::read(log).unwrap();
        let mut rest = &*bytes;
        let mut deeds = Vec::new();
        let mut take = |length: usize| {
            let (part, left) = rest.split_at(length);
            rest = left;
            part.to_vec()
        };
        let mut at = 0;
        while at < bytes.len() {
            let mut number = || u64::from_ne_bytes(take(8).try_into().unwrap());
            let (kind, path, offset, length) = (number(), number(), number(), number());
            let path = PathBuf::from(String::from_utf8(take(path.try_into().unwrap())).unwrap());
            at += 32 + path.as_os_str().len();
            let deed = match u8::try_from(kind).unwrap() {
                b'W' => {
                    let written = take(length.try_into().unwrap());
                    at += written.len();
                    Deed::Write(offset, written)
                }
                b'T' => Deed::Cut(length),
                b'S' => Deed::Sync,
                b'U' => Deed::Remove,
                other => panic!("a deed {other}"),
            };
            deeds.push((at as u64, path, deed));
        }
        Self { deeds, before }
    }

    /// Where the log was after each deed.
    pub(crate) fn places(&self) -> impl ExactSizeIterator<Item = u64> {
        self.deeds.iter().map(|&(place, ..)| place)
    }

    /// What is on the disk after the power was cut with the log at `cut`. `chance` decides over each sector that was not
    /// synced, and `lazy` over syncs: one that says it is done, and is not.
    pub(crate) fn image(&self, cut: u64, mut chance: impl FnMut() -> bool, lazy: bool) -> Image {
        let mut files: BTreeMap<&Path, (Vec<u8>, Vec<&Deed>)> =
            self.before.iter().map(|(path, bytes)| (&**path, (bytes.clone(), Vec::new()))).collect();
        for (_, path, deed) in self.deeds.iter().take_while(|&&(place, ..)| place <= cut) {
            let (durable, since) = files.entry(path).or_default();
            match deed {
                Deed::Sync if lazy => {}
                Deed::Sync => since.drain(..).for_each(|deed| apply(durable, deed, || true)),
                Deed::Remove => _ = files.remove(&**path),
                deed => since.push(deed),
            }
        }
        let left = files.into_iter().map(|(path, (mut bytes, since))| {
            since.into_iter().for_each(|deed| apply(&mut bytes, deed, &mut chance));
            (path.to_owned(), bytes)
        });
        left.filter(|(path, bytes)| path.extension().is_none_or(|kind| kind != "db-shm") && !bytes.is_empty())
            .collect()
    }

    /// Puts into `folder` what [`Self::image`] says.
    pub(crate) fn leave(&self, cut: u64, folder: &Path, chance: impl FnMut() -> bool, lazy: bool) {
        for (path, bytes) in self.image(cut, chance, lazy) {
            fs::write(folder.join(path.file_name().unwrap()), bytes).unwrap();
        }
    }
}

fn apply(bytes: &mut Vec<u8>, deed: &Deed, mut happens: impl FnMut() -> bool) {
    match deed {
        Deed::Write(offset, written) => {
            let offset = usize::try_from(*offset).unwrap();
            for (number, sector) in written.chunks(SECTOR).enumerate() {
                if happens() {
                    let from = offset + number * SECTOR;
                    if bytes.len() < from + sector.len() {
                        bytes.resize(from + sector.len(), 0);
                    }
                    bytes[from..from + sector.len()].copy_from_slice(sector);
                }
            }
        }
        Deed::Cut(length) if happens() => bytes.resize(usize::try_from(*length).unwrap(), 0),
        Deed::Cut(_) | Deed::Sync | Deed::Remove => {}
    }
}
