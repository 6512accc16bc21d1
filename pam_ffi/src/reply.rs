//! Answers in memory that C allocates and frees, wiped before they go back.
//!
//! PAM's rule: the application allocates the array of answers and each answer with malloc, the
//! module frees them. Whoever of the two we are, a typed code must not stay in freed memory.

use std::ffi::{CStr, c_char};
use std::ptr::NonNull;

use zeroize::{Zeroize, Zeroizing};

use crate::libpam::Response;

/// Copies a C string of libpam's; none for a null pointer.
///
/// # Safety
///
/// `text` is null, or points to a NUL-terminated string that nobody changes during the call.
pub(crate) unsafe fn copy(text: *const c_char) -> Option<Vec<u8>> {
    if text.is_null() {
        return None;
    }
    // SAFETY: not null, and the caller vouches for the NUL and for stillness.
    let text = unsafe { CStr::from_ptr(text) };
    Some(text.to_bytes().to_vec())
}

/// Takes an answer out of a malloc'ed C string, which is wiped and freed; none for a null pointer.
///
/// # Safety
///
/// `text` is null, or a NUL-terminated string from malloc that nobody else uses any more.
pub(crate) unsafe fn take(text: *mut c_char) -> Option<Zeroizing<Vec<u8>>> {
    // SAFETY: the caller vouches for null or a string.
    let answer = unsafe { copy(text) }.map(Zeroizing::new);
    // SAFETY: the caller vouches for malloc and hands the string over.
    unsafe { wipe_and_free(text) };
    answer
}

/// Overwrites a malloc'ed C string with zeros, as far as its NUL, and frees it. Null is left alone.
///
/// # Safety
///
/// `text` is null, or a NUL-terminated string from malloc that nobody else uses any more.
unsafe fn wipe_and_free(text: *mut c_char) {
    if text.is_null() {
        return;
    }
    // SAFETY: not null; a string that is ours alone, as the caller promises.
    unsafe { wipe(text) };
    // SAFETY: from malloc, and not used after this.
    unsafe { libc::free(text.cast()) };
}

/// Overwrites a C string with zeros, as far as its NUL.
///
/// # Safety
///
/// `text` is a writable NUL-terminated string that nobody else uses meanwhile.
unsafe fn wipe(text: *mut c_char) {
    // SAFETY: NUL-terminated, as the caller promises.
    let length = unsafe { libc::strlen(text) };
    // SAFETY: strlen has just read that many bytes, which the caller promises are writable and ours
    // alone.
    let bytes = unsafe { std::slice::from_raw_parts_mut(text.cast::<u8>(), length) };
    bytes.zeroize();
}

/// The array of answers that the conversation fills in. Wiped and freed when dropped, unless given
/// away.
pub(crate) struct Replies {
    array: NonNull<Response>,
    count: usize,
}

impl Replies {
    /// Room for `count` answers, all null; none when memory is short.
    pub(crate) fn allocate(count: usize) -> Option<Self> {
        // SAFETY: calloc has no preconditions; it checks the product for overflow itself.
        let array = unsafe { libc::calloc(count, size_of::<Response>()) };
        NonNull::new(array.cast()).map(|array| Self { array, count })
    }

    /// Takes over an array that somebody else's conversation function allocated.
    ///
    /// # Safety
    ///
    /// `array` is from malloc and holds `count` responses, each null or a malloc'ed string, that
    /// nobody else uses any more.
    pub(crate) unsafe fn from_raw(array: NonNull<Response>, count: usize) -> Self {
        Self { array, count }
    }

    /// Sets answer `position` to a copy of `answer`.
    ///
    /// # Errors
    ///
    /// In words: a NUL inside, which C would take for the end; no such position; no memory.
    pub(crate) fn set(&mut self, position: usize, answer: &[u8]) -> Result<(), &'static str> {
        if answer.contains(&0) {
            return Err("an answer with a NUL byte inside");
        }
        let slot = self.slot(position).ok_or("an answer without a question")?;
        // calloc: the NUL at the end is there already.
        // SAFETY: calloc has no preconditions; a slice's length plus one does not overflow.
        let copy = unsafe { libc::calloc(answer.len() + 1, 1) }.cast::<u8>();
        if copy.is_null() {
            return Err("out of memory");
        }
        // SAFETY: the new allocation has room for the answer, and cannot overlap it.
        unsafe { copy.copy_from_nonoverlapping(answer.as_ptr(), answer.len()) };
        let old = std::mem::replace(&mut slot.text, copy.cast());
        // SAFETY: each slot is null or a malloc'ed string that only this array knows.
        unsafe { wipe_and_free(old) };
        Ok(())
    }

    /// Takes answer `position` out of the array.
    pub(crate) fn take(&mut self, position: usize) -> Option<Zeroizing<Vec<u8>>> {
        let slot = self.slot(position)?;
        let text = std::mem::replace(&mut slot.text, std::ptr::null_mut());
        // SAFETY: each slot is null or a malloc'ed string that only this array knew; now nobody
        // does.
        unsafe { take(text) }
    }

    /// Gives the array to C, which frees it.
    pub(crate) fn into_raw(self) -> *mut Response {
        let array = self.array.as_ptr();
        std::mem::forget(self);
        array
    }

    fn slot(&mut self, position: usize) -> Option<&mut Response> {
        if position >= self.count {
            return None;
        }
        // SAFETY: within the `count` elements of the allocation.
        let slot = unsafe { self.array.add(position) };
        // SAFETY: calloc, or the promise of `from_raw`, has initialised the element; `&mut self`
        // makes it ours alone.
        Some(unsafe { &mut *slot.as_ptr() })
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        for position in 0..self.count {
            drop(self.take(position));
        }
        // SAFETY: from malloc (allocate, from_raw), and never used after this.
        unsafe { libc::free(self.array.as_ptr().cast()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_goes_to_c_and_comes_back() {
        let mut replies = Replies::allocate(3).unwrap();
        replies.set(0, b"first").unwrap();
        replies.set(2, b"").unwrap();
        replies.set(0, b"second").unwrap(); // frees the first
        let array = NonNull::new(replies.into_raw()).unwrap();

        // SAFETY: just given away by `into_raw`, with three elements.
        let mut back = unsafe { Replies::from_raw(array, 3) };
        assert_eq!(back.take(0).unwrap().as_slice(), b"second");
        assert!(back.take(0).is_none(), "taken already");
        assert!(back.take(1).is_none(), "never set");
        assert_eq!(back.take(2).unwrap().as_slice(), b"");
        assert!(back.take(3).is_none(), "past the end");
    }

    #[test]
    fn a_nul_or_a_position_past_the_end_is_refused() {
        let mut replies = Replies::allocate(1).unwrap();
        assert!(replies.set(0, b"12\x003456").is_err());
        assert!(replies.set(1, b"123456").is_err());
        assert!(replies.take(0).is_none());
    }

    #[test]
    fn wiping_leaves_no_byte_before_the_nul_and_touches_none_behind_it() {
        let mut buffer = *b"755224\0next";
        // SAFETY: a buffer of ours with a NUL in it.
        unsafe { wipe(buffer.as_mut_ptr().cast()) };
        assert_eq!(&buffer, b"\0\0\0\0\0\0\0next");
    }

    #[test]
    fn copies_of_null_are_none() {
        // SAFETY: null is allowed.
        assert!(unsafe { copy(std::ptr::null()) }.is_none());
        // SAFETY: null is allowed.
        assert!(unsafe { take(std::ptr::null_mut()) }.is_none());
        // SAFETY: a literal with its NUL.
        assert_eq!(unsafe { copy(c"abc".as_ptr()) }.unwrap(), b"abc");
    }
}
