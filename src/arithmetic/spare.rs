//! Room that work leaves on its thread for the next of its kind, so that none waits for the system's pages.

use std::any::Any;
use std::cell::RefCell;

thread_local! {
    static SPARE: RefCell<Vec<Box<dyn Any>>> = const { RefCell::new(Vec::new()) };
}

/// Has `work` use the room that earlier work left on this thread, a few megabytes at most; whatever is in it is left over.
pub(crate) fn with_spare<S: Default + 'static, R>(work: impl FnOnce(&mut S) -> R) -> R {
    let spare = SPARE.with_borrow_mut(|spare| {
        let index = spare.iter().position(|room| room.is::<S>())?;
        spare.swap_remove(index).downcast::<S>().ok()
    });
    let mut room = spare.unwrap_or_default();
    let result = work(&mut room);
    SPARE.with_borrow_mut(|spare| spare.push(room));
    result
}
