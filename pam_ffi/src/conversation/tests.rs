//! The callback, driven directly as C would: nothing here calls libpam, so Miri can watch.

use std::rc::Rc;

use super::*;

/// Answers from a list, notes what it was asked, and counts as used up when dropped.
struct Script {
    answers: Vec<Step>,
    heard: Vec<(MessageStyle, Vec<u8>)>,
    _alive: Rc<()>,
}

enum Step {
    Answer(&'static [u8]),
    Null,
    Fail,
    Panic,
}

impl Conversation for Script {
    fn respond(
        &mut self,
        style: MessageStyle,
        text: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
        self.heard.push((style, text.to_vec()));
        match self.answers.remove(0) {
            Step::Answer(answer) => Ok(Some(Zeroizing::new(answer.to_vec()))),
            Step::Null => Ok(None),
            Step::Fail => Err(ConversationFailed::new("the user hung up")),
            Step::Panic => panic!("scripted"),
        }
    }
}

fn scripted(answers: Vec<Step>) -> (Shared<Script>, Rc<()>) {
    let alive = Rc::new(());
    let script = Script {
        answers,
        heard: Vec::new(),
        _alive: Rc::clone(&alive),
    };
    (Shared::new(script), alive)
}

fn message(style: c_int, text: &'static CStr) -> Message {
    Message {
        style,
        text: text.as_ptr(),
    }
}

/// Calls the callback as a module does; the answers, if it said success.
fn call(shared: &Shared<Script>, messages: &[Message]) -> Option<Vec<Option<Vec<u8>>>> {
    let mut pointers: Vec<*const Message> = messages.iter().map(ptr::from_ref).collect();
    let count = c_int::try_from(messages.len()).unwrap();
    let (code, responses) = raw_call(shared, count, pointers.as_mut_ptr());
    let Some(array) = NonNull::new(responses) else {
        assert_eq!(code, ReturnCode::CONV_ERR);
        return None;
    };
    assert_eq!(code, ReturnCode::SUCCESS);
    // SAFETY: the callback has just given the array away, one response per message.
    let mut replies = unsafe { Replies::from_raw(array, messages.len()) };
    Some(
        (0..messages.len())
            .map(|i| replies.take(i).map(|a| a.to_vec()))
            .collect(),
    )
}

fn raw_call(
    shared: &Shared<Script>,
    count: c_int,
    messages: *mut *const Message,
) -> (ReturnCode, *mut Response) {
    let conv = shared.as_conv();
    // Not null, to see that failures clear it.
    let mut responses = NonNull::dangling().as_ptr();
    // SAFETY: as libpam calls it; the tests' arrays are as long as they say, or null, or not to be
    // read for their count.
    let code = unsafe { conv.function.unwrap()(count, messages, &raw mut responses, conv.data) };
    (ReturnCode(code), responses)
}

#[test]
fn answers_arrive_in_the_order_of_the_questions() {
    let (mut shared, alive) = scripted(vec![
        Step::Null,
        Step::Answer(b"alice"),
        Step::Answer(b"ignored"),
        Step::Answer(b"\xff 123456"),
    ]);
    let answers = call(
        &shared,
        &[
            message(4, c"Welcome"),
            message(2, c"Name: "),
            message(3, c"Careful"),
            message(1, c"Verification code: "),
        ],
    );
    let expected = [
        None,
        Some(b"alice".to_vec()),
        None,
        Some(b"\xff 123456".to_vec()),
    ];
    assert_eq!(
        answers.unwrap(),
        expected,
        "an answer to an error message is dropped"
    );
    let heard = &shared.get_mut().conversation.heard;
    assert_eq!(heard[0], (MessageStyle::TextInfo, b"Welcome".to_vec()));
    assert_eq!(
        heard[3],
        (MessageStyle::PromptEchoOff, b"Verification code: ".to_vec())
    );
    drop(shared);
    assert_eq!(
        Rc::strong_count(&alive),
        1,
        "the conversation is dropped with its owner"
    );
}

#[test]
fn a_null_answer_is_passed_on() {
    let (shared, _alive) = scripted(vec![Step::Null]);
    assert_eq!(call(&shared, &[message(1, c"Code: ")]), Some(vec![None]));
}

#[test]
fn as_many_messages_as_pam_allows_are_answered() {
    let (shared, _alive) = scripted((0..32).map(|_| Step::Answer(b"x")).collect());
    let messages: Vec<Message> = (0..32).map(|_| message(1, c"?")).collect();
    assert_eq!(
        call(&shared, &messages),
        Some(vec![Some(b"x".to_vec()); 32])
    );
}

#[test]
fn counts_that_cannot_be_are_refused_without_reading() {
    let unreadable = NonNull::dangling().as_ptr();
    for count in [0, -1, c_int::MIN, 33, c_int::MAX] {
        let (mut shared, _alive) = scripted(vec![]);
        let (code, responses) = raw_call(&shared, count, unreadable);
        assert_eq!(
            (code, responses),
            (ReturnCode::CONV_ERR, ptr::null_mut()),
            "{count}"
        );
        let failed = shared.get_mut().failed.take().unwrap();
        assert_eq!(failed.to_string(), format!("{count} messages at once"));
    }
}

#[test]
fn null_pointers_are_refused() {
    let (mut shared, _alive) = scripted(vec![]);
    assert_eq!(
        raw_call(&shared, 1, ptr::null_mut()).0,
        ReturnCode::CONV_ERR
    );
    assert_eq!(
        shared.get_mut().failed.take().unwrap().to_string(),
        "no array of messages"
    );

    let mut messages = [ptr::null()];
    assert_eq!(
        raw_call(&shared, 1, messages.as_mut_ptr()).0,
        ReturnCode::CONV_ERR
    );
    assert!(shared.get_mut().failed.is_some());

    let conv = shared.as_conv();
    let function = conv.function.unwrap();
    // SAFETY: null is allowed everywhere.
    let code = unsafe { function(1, messages.as_mut_ptr(), ptr::null_mut(), conv.data) };
    assert_eq!(
        ReturnCode(code),
        ReturnCode::CONV_ERR,
        "no room for the answers"
    );
    let mut responses = ptr::null_mut();
    // SAFETY: null is allowed everywhere.
    let code = unsafe {
        function(
            1,
            messages.as_mut_ptr(),
            &raw mut responses,
            ptr::null_mut(),
        )
    };
    assert_eq!(ReturnCode(code), ReturnCode::CONV_ERR, "no data");
}

#[test]
fn a_null_text_is_an_empty_text() {
    let (mut shared, _alive) = scripted(vec![Step::Answer(b"1")]);
    let message = Message {
        style: 1,
        text: ptr::null(),
    };
    assert_eq!(call(&shared, &[message]), Some(vec![Some(b"1".to_vec())]));
    assert_eq!(shared.get_mut().conversation.heard[0].1, b"");
}

#[test]
fn unknown_styles_fail_and_free_the_answers_before() {
    for style in [5, 7, 0, -1, c_int::MAX] {
        let (mut shared, _alive) = scripted(vec![Step::Answer(b"123456")]);
        assert_eq!(
            call(&shared, &[message(1, c"Code: "), message(style, c"?")]),
            None
        );
        let failed = shared.get_mut().failed.take().unwrap();
        assert_eq!(
            failed.to_string(),
            format!("a message of unknown style {style}")
        );
    }
}

#[test]
fn an_answer_with_a_nul_inside_fails() {
    let (mut shared, _alive) = scripted(vec![Step::Answer(b"first"), Step::Answer(b"123\x00456")]);
    assert_eq!(call(&shared, &[message(1, c"1"), message(1, c"2")]), None);
    assert!(
        shared
            .get_mut()
            .failed
            .take()
            .unwrap()
            .to_string()
            .contains("NUL")
    );
}

#[test]
fn the_first_failure_is_kept_and_the_conversation_goes_on() {
    let (mut shared, _alive) =
        scripted(vec![Step::Fail, Step::Answer(b"a\0b"), Step::Answer(b"c")]);
    assert_eq!(call(&shared, &[message(1, c"1")]), None);
    assert_eq!(call(&shared, &[message(1, c"2")]), None);
    assert_eq!(
        call(&shared, &[message(1, c"3")]),
        Some(vec![Some(b"c".to_vec())])
    );
    assert_eq!(
        shared.get_mut().failed.take().unwrap().to_string(),
        "the user hung up"
    );
}

#[test]
fn a_panic_stays_inside_and_the_conversation_is_not_called_again() {
    let (mut shared, alive) = scripted(vec![
        Step::Answer(b"123456"),
        Step::Panic,
        Step::Answer(b"x"),
    ]);
    assert_eq!(call(&shared, &[message(1, c"1"), message(1, c"2")]), None);
    assert_eq!(call(&shared, &[message(1, c"3")]), None);
    let state = shared.get_mut();
    assert_eq!(state.conversation.heard.len(), 2);
    assert_eq!(
        state.panic.take().unwrap().downcast_ref::<&str>(),
        Some(&"scripted")
    );
    drop(shared);
    assert_eq!(Rc::strong_count(&alive), 1);
}

#[test]
fn a_panic_nobody_took_is_given_up_with_the_conversation() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    struct Bomber;
    impl Conversation for Bomber {
        fn respond(
            &mut self,
            _: MessageStyle,
            _: &[u8],
        ) -> Result<Option<Zeroizing<Vec<u8>>>, ConversationFailed> {
            std::panic::panic_any(Bomb)
        }
    }
    let shared = Shared::new(Bomber);
    let conv = shared.as_conv();
    let message = message(1, c"?");
    let mut messages = [&raw const message];
    let mut responses = ptr::null_mut();
    // SAFETY: as libpam calls it.
    let code =
        unsafe { conv.function.unwrap()(1, messages.as_mut_ptr(), &raw mut responses, conv.data) };
    assert_eq!(ReturnCode(code), ReturnCode::CONV_ERR);
    drop(shared);
}

#[test]
fn delays_are_noted_and_zero_is_none() {
    let (shared, _alive) = scripted(vec![]);
    let data = shared.as_conv().data;
    // SAFETY: null is allowed.
    unsafe { note_delay::<Script>(7, 5, ptr::null_mut()) };
    // SAFETY: the data of this conversation.
    unsafe { note_delay::<Script>(7, 2_000_000, data) };
    // SAFETY: the data of this conversation.
    unsafe { note_delay::<Script>(0, 0, data) };
    assert_eq!(shared.get().requested_delay, Some(Duration::from_secs(2)));
}
