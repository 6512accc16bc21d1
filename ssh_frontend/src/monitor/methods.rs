//! Which methods have to succeed, from `authentication_methods`.
//!
//! There are two ways in: the dialogue, or a key and then the dialogue. Signatures are verified by the
//! process that strangers talk to, so a key opens nothing by itself.

use crate::config::Method;

/// Which of the two ways are open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Methods {
    /// `keyboard-interactive`.
    pub dialogue: bool,
    /// `publickey,keyboard-interactive`.
    pub key_and_dialogue: bool,
}

impl Methods {
    /// Of lists that mean one of the two; any other opens nothing.
    #[must_use]
    pub fn of(lists: &[Vec<Method>]) -> Self {
        let has = |way: &[Method]| lists.iter().any(|list| list == way);
        Self {
            dialogue: has(&[Method::KeyboardInteractive]),
            key_and_dialogue: has(&[Method::PublicKey, Method::KeyboardInteractive]),
        }
    }

    /// With which methods a client may go on.
    #[must_use]
    pub fn next(self, key_accepted: bool) -> Vec<Method> {
        let key = self.key_and_dialogue && !key_accepted;
        let mut methods = Vec::new();
        if key {
            methods.push(Method::PublicKey);
        }
        if self.may_begin(key_accepted) {
            methods.push(Method::KeyboardInteractive);
        }
        methods
    }

    /// Whether the dialogue may begin.
    #[must_use]
    pub fn may_begin(self, key_accepted: bool) -> bool {
        self.dialogue || (self.key_and_dialogue && key_accepted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Method::{KeyboardInteractive as Dialogue, PublicKey as Key};

    #[test]
    fn what_comes_next_follows_from_the_lists_and_the_key() {
        let (alone, both) = (vec![Dialogue], vec![Key, Dialogue]);
        type Case<'a> = (&'a [Vec<Method>], bool, &'a [Method]);
        let cases: [Case<'_>; 6] = [
            (std::slice::from_ref(&alone), false, &[Dialogue]),
            (std::slice::from_ref(&alone), true, &[Dialogue]),
            (std::slice::from_ref(&both), false, &[Key]),
            (std::slice::from_ref(&both), true, &[Dialogue]),
            (&[alone.clone(), both.clone()], false, &[Key, Dialogue]),
            (&[alone.clone(), both.clone()], true, &[Dialogue]),
        ];
        for (lists, key_accepted, next) in cases {
            assert_eq!(Methods::of(lists).next(key_accepted), next, "{lists:?}");
        }
    }

    #[test]
    fn a_list_that_does_not_end_in_the_dialogue_opens_nothing() {
        for list in [vec![], vec![Key], vec![Dialogue, Key], vec![Key, Key]] {
            for key_accepted in [false, true] {
                let methods = Methods::of(std::slice::from_ref(&list));
                assert!(!methods.may_begin(key_accepted), "{list:?}");
                assert!(methods.next(key_accepted).is_empty(), "{list:?}");
            }
        }
    }
}
