//! How libpam's questions reach a [`Conversation`], and its answers libpam.
//!
//! The callback is Rust called from C: a panic must not cross it, for unwinding into C aborts the
//! process (which is what other PAM crates do), and what it was asked must not be believed. A
//! failure leaves through libpam as `PAM_CONV_ERR`, which modules turn into codes of their own, so
//! the real one waits here for the caller.

use std::any::Any;
use std::ffi::{CStr, c_int, c_uint, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::{self, NonNull};
use std::time::Duration;
use std::{error, fmt, slice};

use zeroize::Zeroizing;

use crate::codes::{MessageStyle, ReturnCode};
use crate::libpam::{self, Conv, Message, Response};
use crate::reply::Replies;

/// Who answers what modules ask, and shows what they tell.
pub trait Conversation {
    /// Shows one message; the answer, for the styles that ask for one, is passed on as raw bytes.
    /// `None` is passed on as a null answer, which modules take for "the user went away". An answer
    /// to a message that asked for none is dropped. The text is what the module sent: it may hold
    /// control characters.
    ///
    /// # Errors
    ///
    /// When there is no answer to be had. The module sees `PAM_CONV_ERR`, and whoever called libpam
    /// finds the reason in [`PamError::conversation`](crate::PamError::conversation). An answer
    /// with a NUL inside is such an error as well.
    fn respond(
        &mut self,
        style: MessageStyle,
        text: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed>;
}

/// Why a conversation could not go on.
#[derive(Debug)]
pub struct ConversationFailed {
    reason: Box<dyn error::Error + Send + Sync>,
}

impl ConversationFailed {
    /// With the reason, a text or an error, that is to reach the caller. It will be logged: no
    /// answers in it.
    pub fn new(reason: impl Into<Box<dyn error::Error + Send + Sync>>) -> Self {
        Self {
            reason: reason.into(),
        }
    }
}

impl fmt::Display for ConversationFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl error::Error for ConversationFailed {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.reason.source()
    }
}

/// What the callback works on.
pub(crate) struct State<C> {
    pub(crate) conversation: C,
    /// The first failure since the caller last looked.
    pub(crate) failed: Option<ConversationFailed>,
    /// The panic that the caller has yet to be told of.
    pub(crate) panic: Option<Box<dyn Any + Send>>,
    /// After a panic the conversation may be half changed; it is not called again.
    pub(crate) broken: bool,
    /// The last delay that libpam wanted, if [`note_delay`] stands in for its sleep.
    pub(crate) requested_delay: Option<Duration>,
}

/// A [`State`] at an address that does not change, which libpam knows as the conversation's data.
///
/// Held as a pointer and not as a `Box`: a `Box` promises that nobody else has the address.
pub(crate) struct Shared<C>(NonNull<State<C>>);

impl<C: Conversation> Shared<C> {
    pub(crate) fn new(conversation: C) -> Self {
        Self(NonNull::from(Box::leak(Box::new(State {
            conversation,
            failed: None,
            panic: None,
            broken: false,
            requested_delay: None,
        }))))
    }

    /// For `pam_start`, which copies the struct. The data stays valid as long as `self`.
    pub(crate) fn as_conv(&self) -> Conv {
        Conv {
            function: Some(converse::<C>),
            data: self.0.as_ptr().cast(),
        }
    }
}

impl<C> Shared<C> {
    pub(crate) fn get(&self) -> &State<C> {
        // SAFETY: allocated in `new`, freed in `drop`. The callbacks change it only inside a call
        // of libpam that can converse, and all of those borrow the owner of `self` mutably.
        unsafe { self.0.as_ref() }
    }

    pub(crate) fn get_mut(&mut self) -> &mut State<C> {
        // SAFETY: as in `get`, and `&mut self` keeps every such call away.
        unsafe { self.0.as_mut() }
    }
}

impl<C> Drop for Shared<C> {
    fn drop(&mut self) {
        // SAFETY: from `Box::leak` in `new`; the owner has ended the handle that knew the address.
        let mut state = unsafe { Box::from_raw(self.0.as_ptr()) };
        // Only a panic in `pam_end` is still here. The panic hook has reported it; dropping the
        // payload could panic again.
        std::mem::forget(state.panic.take());
    }
}

/// The conversation function that libpam and its modules call.
///
/// # Safety
///
/// As libpam calls it: `data` is null or from [`Shared::as_conv`] of the same `C`, `messages` is
/// null or an array of `count` pointers, each null or to a message whose text is null or a C
/// string, `responses` is null or writable, and nobody else uses any of them meanwhile.
pub(crate) unsafe extern "C" fn converse<C: Conversation>(
    count: c_int,
    messages: *mut *const Message,
    responses: *mut *mut Response,
    data: *mut c_void,
) -> c_int {
    if responses.is_null() {
        return ReturnCode::CONV_ERR.0;
    }
    // A module that reads it after a failure, as pam_prompt does, must find nothing.
    // SAFETY: not null, so writable, as the caller promises; what was there may be uninitialised.
    unsafe { responses.write(ptr::null_mut()) };
    // SAFETY: null or a State<C> that is nobody else's meanwhile, as the caller promises.
    let Some(state) = (unsafe { data.cast::<State<C>>().as_mut() }) else {
        return ReturnCode::CONV_ERR.0;
    };
    // SAFETY: the caller's promise about `messages`, passed on.
    match unsafe { guarded(state, count, messages) } {
        Some(replies) => {
            // SAFETY: written to before.
            unsafe { responses.write(replies.into_raw()) };
            ReturnCode::SUCCESS.0
        }
        None => ReturnCode::CONV_ERR.0,
    }
}

/// The answers, or none, with the reason or the panic noted in `state`. Never unwinds.
///
/// # Safety
///
/// `messages` as in [`converse`].
unsafe fn guarded<C: Conversation>(
    state: &mut State<C>,
    count: c_int,
    messages: *mut *const Message,
) -> Option<Replies> {
    if state.broken {
        let reason = || ConversationFailed::new("the conversation has panicked before");
        state.failed.get_or_insert_with(reason);
        return None;
    }
    // The state may be seen after a panic: `broken` then keeps everybody from calling the
    // conversation again.
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: the caller's promise, passed on.
        match unsafe { answers(&mut state.conversation, count, messages) } {
            Ok(replies) => Some(replies),
            Err(failed) => {
                state.failed.get_or_insert(failed);
                None
            }
        }
    }));
    outcome.unwrap_or_else(|payload| {
        state.broken = true;
        state.panic = Some(payload);
        None
    })
}

/// Puts each message to the conversation, and collects the answers as C wants them.
///
/// # Safety
///
/// `messages` as in [`converse`].
unsafe fn answers<C: Conversation>(
    conversation: &mut C,
    count: c_int,
    messages: *mut *const Message,
) -> Result<Replies, ConversationFailed> {
    let in_range = |count: &usize| (1..=libpam::MAX_MESSAGES).contains(count);
    let Some(count) = usize::try_from(count).ok().filter(in_range) else {
        return Err(ConversationFailed::new(format!("{count} messages at once")));
    };
    if messages.is_null() {
        return Err(ConversationFailed::new("no array of messages"));
    }
    // SAFETY: not null, and the caller promises `count` pointers that nobody changes.
    let messages = unsafe { slice::from_raw_parts(messages.cast_const(), count) };
    let mut replies =
        Replies::allocate(count).ok_or_else(|| ConversationFailed::new("out of memory"))?;
    for (position, &message) in messages.iter().enumerate() {
        // SAFETY: null or a message, as the caller promises.
        let (style, text) = unsafe { parse(message) }?;
        let answer = conversation.respond(style, text)?;
        if let Some(answer) = answer.filter(|_| style.wants_answer()) {
            replies
                .set(position, &answer)
                .map_err(ConversationFailed::new)?;
        }
    }
    Ok(replies)
}

/// Style and text of one message; no text is an empty text.
///
/// # Safety
///
/// `message` is null or points to a message whose text is null or a C string, unchanged during
/// `'a`.
unsafe fn parse<'a>(
    message: *const Message,
) -> Result<(MessageStyle, &'a [u8]), ConversationFailed> {
    // SAFETY: null or a message, as the caller promises.
    let message = unsafe { message.as_ref() }
        .ok_or_else(|| ConversationFailed::new("a message that is a null pointer"))?;
    let style = MessageStyle::from_raw(message.style).ok_or_else(|| {
        ConversationFailed::new(format!("a message of unknown style {}", message.style))
    })?;
    if message.text.is_null() {
        return Ok((style, &[]));
    }
    // SAFETY: not null, so a C string, as the caller promises.
    let text = unsafe { CStr::from_ptr(message.text) };
    Ok((style, text.to_bytes()))
}

/// Stands in for libpam's sleep after a failure, and notes how long it would have been.
///
/// # Safety
///
/// As libpam calls it: `data` is null or from [`Shared::as_conv`] of the same `C`, and nobody else
/// uses it meanwhile.
pub(crate) unsafe extern "C" fn note_delay<C: Conversation>(
    _result: c_int,
    microseconds: c_uint,
    data: *mut c_void,
) {
    // SAFETY: null or a State<C> that is nobody else's meanwhile, as the caller promises.
    let state = unsafe { data.cast::<State<C>>().as_mut() };
    if let Some(state) = state
        && microseconds > 0
    {
        // libpam calls this after every pam_authenticate, with zero where no delay was asked for.
        state.requested_delay = Some(Duration::from_micros(microseconds.into()));
    }
}

#[cfg(test)]
mod tests;
