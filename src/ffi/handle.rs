// SPDX-License-Identifier: MIT OR Apache-2.0
//! Checked handles. What C holds is a number, never dereferenced: the key of a table. A stale,
//! foreign, freed or invented one is not in the table or names an object of another kind.
//!
//! A key is, from the top: 32 bits that count the reuses of a place, 8 bits of fork generation,
//! 24 bits of place. A forked child so knows its parent's handles without looking at the parent's
//! table, whose lock a thread may hold that does not exist in the child.

use std::ptr;
use std::sync::{Arc, PoisonError, RwLock};

use slotmap::{DefaultKey, Key, KeyData, SlotMap};

use crate::client::{Cancel, Connection};
use crate::error::{Error, Result, Status};
#[cfg(feature = "mock")]
use crate::mock::Mock;
use crate::sys::fork::{self, PerProcess};

use super::options::SharedOptions;

const _: () = assert!(usize::BITS == 64, "a handle needs a 64-bit pointer");

#[derive(Clone)]
pub enum Object {
    Client(Arc<Connection>),
    Options(Arc<SharedOptions>),
    Cancel(Arc<Cancel>),
    #[cfg(feature = "mock")]
    Mock(Arc<Mock>),
}

/// A handle type of the ABI and the object behind it.
pub trait Handle {
    type Target;
    const NAME: &'static str;
    fn wrap(target: Arc<Self::Target>) -> Object;
    fn unwrap(object: Object) -> Option<Arc<Self::Target>>;
}

macro_rules! handle {
    ($type:ty, $variant:ident, $target:ty) => {
        impl $crate::ffi::handle::Handle for $type {
            type Target = $target;
            const NAME: &'static str = stringify!($type);
            fn wrap(target: std::sync::Arc<$target>) -> $crate::ffi::handle::Object {
                $crate::ffi::handle::Object::$variant(target)
            }
            fn unwrap(object: $crate::ffi::handle::Object) -> Option<std::sync::Arc<$target>> {
                match object {
                    $crate::ffi::handle::Object::$variant(target) => Some(target),
                    _ => None,
                }
            }
        }
    };
}
pub(super) use handle;

type Table = RwLock<SlotMap<DefaultKey, Object>>;

static TABLE: PerProcess<Table> = PerProcess::new(|| RwLock::new(SlotMap::new()));

const PLACE_BITS: u32 = 24;
const PLACE_MASK: u64 = (1 << PLACE_BITS) - 1;
const GENERATION_MASK: u64 = 0xff;

fn generation() -> u64 {
    u64::from(fork::generation()) & GENERATION_MASK
}

fn number_of(key: DefaultKey) -> Option<u64> {
    let bits = key.data().as_ffi();
    let (reuse, place) = (bits >> 32, bits & 0xffff_ffff);
    (place <= PLACE_MASK).then_some(reuse << 32 | generation() << PLACE_BITS | place)
}

/// The key, if the number can be one of this process.
fn key_of(number: u64, name: &str) -> Result<DefaultKey> {
    if number == 0 {
        return Err(Error::invalid(format!("the {name} handle is NULL")));
    }
    let (of, now) = (number >> PLACE_BITS & GENERATION_MASK, generation());
    if of < now {
        return Err(Error::new(
            Status::Forked,
            format!(
                "this {name} belongs to the process that this one was forked from: connect anew \
                 here"
            ),
        ));
    }
    let bits = number & !(GENERATION_MASK << PLACE_BITS);
    let key = DefaultKey::from(KeyData::from_ffi(bits));
    // slotmap reads some numbers that it never gave out as others that it did.
    if of > now || key.data().as_ffi() != bits {
        return Err(unknown(name));
    }
    Ok(key)
}

fn unknown(name: &str) -> Error {
    Error::new(
        Status::InvalidHandle,
        format!("this is no {name}: freed already, of another type, or never handed out"),
    )
}

/// Puts an object into the table and gives its handle.
pub fn insert<H: Handle>(target: Arc<H::Target>) -> Result<*mut H> {
    let mut table = TABLE.get().write().unwrap_or_else(PoisonError::into_inner);
    let key = table.insert(H::wrap(target));
    match number_of(key) {
        Some(number) => Ok(ptr::without_provenance_mut(number as usize)),
        None => {
            let object = table.remove(key);
            drop(table);
            drop(object);
            Err(Error::new(Status::Resource, "too many handles are in use"))
        }
    }
}

/// The object behind a handle. It lives on while it is used here, also when the handle is freed
/// meanwhile.
pub fn get<H: Handle>(handle: *const H) -> Result<Arc<H::Target>> {
    let key = key_of(handle.addr() as u64, H::NAME)?;
    let table = TABLE.get().read().unwrap_or_else(PoisonError::into_inner);
    let object = table.get(key).cloned();
    drop(table);
    object.and_then(H::unwrap).ok_or_else(|| unknown(H::NAME))
}

/// Like [`get`], for a handle that may be NULL.
pub fn get_optional<H: Handle>(handle: *const H) -> Result<Option<Arc<H::Target>>> {
    if handle.is_null() {
        return Ok(None);
    }
    get(handle).map(Some)
}

/// Takes the object out of the table: from now on the handle is stale.
pub fn remove<H: Handle>(handle: *mut H) -> Result<Arc<H::Target>> {
    let key = key_of(handle.addr() as u64, H::NAME)?;
    let mut table = TABLE.get().write().unwrap_or_else(PoisonError::into_inner);
    // Its type is checked before it goes.
    let is_one = table.get(key).cloned().and_then(H::unwrap).is_some();
    let object = is_one.then(|| table.remove(key)).flatten();
    drop(table);
    object.and_then(H::unwrap).ok_or_else(|| unknown(H::NAME))
}

#[cfg(test)]
mod tests;
