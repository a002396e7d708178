// SPDX-License-Identifier: MIT OR Apache-2.0
use std::thread;

use super::*;
use crate::ffi::cancel::qmp_cancel;
use crate::ffi::options::qmp_options;

fn status<T>(result: Result<T>) -> Option<Status> {
    result.err().map(|error| error.status)
}

#[test]
fn a_handle_is_good_until_it_is_removed_once() {
    let handle = insert::<qmp_cancel>(Arc::new(Cancel::new())).unwrap();
    assert!(get(handle.cast_const()).is_ok());
    assert!(remove(handle).is_ok());
    assert_eq!(
        status(get(handle.cast_const())),
        Some(Status::InvalidHandle)
    );
    assert_eq!(status(remove(handle)), Some(Status::InvalidHandle));
}

#[test]
fn a_place_that_is_used_again_has_another_handle() {
    let first = insert::<qmp_cancel>(Arc::new(Cancel::new())).unwrap();
    remove(first).unwrap();
    let others: Vec<_> = (0..64)
        .map(|_| insert::<qmp_cancel>(Arc::new(Cancel::new())).unwrap())
        .collect();
    assert!(!others.contains(&first));
    assert_eq!(status(get(first.cast_const())), Some(Status::InvalidHandle));
    for other in others {
        remove(other).unwrap();
    }
}

#[test]
fn a_handle_of_another_kind_is_refused_and_left_alone() {
    let cancel = insert::<qmp_cancel>(Arc::new(Cancel::new())).unwrap();
    let wrong: *mut qmp_options = cancel.cast();
    assert_eq!(status(get(wrong.cast_const())), Some(Status::InvalidHandle));
    assert_eq!(status(remove(wrong)), Some(Status::InvalidHandle));
    assert!(remove(cancel).is_ok());
}

#[test]
fn numbers_near_a_handle_are_not_it() {
    let handle = insert::<qmp_cancel>(Arc::new(Cancel::new())).unwrap();
    for bit in 0..usize::BITS {
        let near: *const qmp_cancel = ptr::without_provenance(handle.addr() ^ 1 << bit);
        // Another test's handle may stand there, but never this one's object.
        if let Ok(other) = get(near) {
            assert!(!Arc::ptr_eq(&other, &get(handle.cast_const()).unwrap()));
        }
    }
    let garbage: *const qmp_cancel = ptr::without_provenance(usize::MAX);
    assert_eq!(status(get(garbage)), Some(Status::InvalidHandle));
    assert_eq!(
        status(get(ptr::null::<qmp_cancel>())),
        Some(Status::InvalidArgument)
    );
    remove(handle).unwrap();
}

#[test]
fn of_threads_that_remove_a_handle_one_gets_its_object() {
    // Miri is slow.
    let rounds = if cfg!(miri) { 4 } else { 200 };
    for _ in 0..rounds {
        let handle = insert::<qmp_cancel>(Arc::new(Cancel::new()))
            .unwrap()
            .addr();
        let removed: usize = thread::scope(|scope| {
            let race = || {
                let found = get::<qmp_cancel>(ptr::without_provenance(handle));
                let removed = remove::<qmp_cancel>(ptr::without_provenance_mut(handle));
                // What was found lives on.
                if let Ok(cancel) = found {
                    cancel.trigger();
                    assert!(cancel.is_triggered());
                }
                usize::from(removed.is_ok())
            };
            let threads: Vec<_> = (0..3).map(|_| scope.spawn(race)).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(removed, 1);
    }
}
