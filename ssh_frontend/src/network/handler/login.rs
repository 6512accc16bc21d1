//! The login: a dialogue that is carried between client and monitor.

use russh::keys::{Algorithm, PublicKey};
use russh::server::Auth;
use russh::{MethodKind, MethodSet};
use zeroize::Zeroize;

use crate::config::Method;
use crate::network::algorithms;
use crate::network::link::{End, Link};
use crate::protocol::{
    LONGEST_ANSWER, LONGEST_USER, MOST_OFFERS, Question, Reply, Request, Secret,
};

/// What is known of the login so far.
pub struct Login {
    link: Link,
    /// Before anything was tried.
    first_methods: Vec<Method>,
    /// Now, for this user.
    methods: Vec<Method>,
    user: String,
    /// How many prompts the question has that waits for its answer.
    question: Option<usize>,
    /// How many keys the monitor was asked about.
    offered: u32,
}

impl Login {
    /// With these methods to begin with.
    pub fn new(link: Link, methods: &[Method]) -> Self {
        Self {
            link,
            first_methods: methods.to_vec(),
            methods: methods.to_vec(),
            user: String::new(),
            question: None,
            offered: 0,
        }
    }

    /// A method that leads nowhere: says which ones do.
    pub fn refuse(&mut self, user: &str) -> Auth {
        self.now(user);
        self.rejected(false)
    }

    /// Whether a signature by this key is worth making.
    pub async fn key_offered(
        &mut self,
        user: &str,
        key: &PublicKey,
        algorithm: &Algorithm,
    ) -> Auth {
        if !self.now(user) || !algorithms::accepts(algorithm) {
            return self.rejected(false);
        }
        let Some((algorithm, key)) = self.wire_format(key) else {
            return self.rejected(false);
        };
        // A client with more keys than these is honest all the same, and may go on by other means.
        if self.offered >= MOST_OFFERS {
            return self.rejected(false);
        }
        self.offered += 1;
        let user = user.to_owned();
        let offer = Request::KeyOffered {
            user,
            algorithm,
            key,
        };
        match self.ask(&offer).await {
            Some(Reply::KeyAcceptable(true)) => Auth::Accept,
            Some(Reply::KeyAcceptable(false)) | None => self.rejected(false),
            Some(_) => self.nonsense(),
        }
    }

    /// The signature was right. That alone lets nobody in.
    pub async fn key_verified(&mut self, user: &str, key: &PublicKey) -> Auth {
        if !self.now(user) {
            return self.rejected(false);
        }
        let Some((algorithm, key)) = self.wire_format(key) else {
            return self.rejected(false);
        };
        let user = user.to_owned();
        let verified = Request::KeyVerified {
            user,
            algorithm,
            key,
        };
        match self.ask(&verified).await {
            Some(Reply::Refused { methods, partial }) => self.refused(methods, partial),
            None => self.rejected(false),
            Some(_) => self.nonsense(),
        }
    }

    /// Begins a dialogue; whatever question there was is forgotten.
    pub async fn begin(&mut self, user: &str) -> Auth {
        if !self.now(user) {
            return self.rejected(false);
        }
        let user = user.to_owned();
        let reply = self.ask(&Request::Begin { user }).await;
        self.continue_with(reply)
    }

    /// Goes on with it: there must be as many answers as prompts.
    pub async fn answer(&mut self, user: &str, answers: Vec<Secret>) -> Auth {
        let question = self.question.take();
        if question != Some(answers.len()) || user != self.user {
            self.protocol_error("the number of answers is wrong");
            return last_word();
        }
        if answers.iter().any(|answer| answer.len() > LONGEST_ANSWER) {
            self.protocol_error("the answer is too long");
            return last_word();
        }
        let answer = answers.into_iter().next();
        let reply = self.ask(&Request::Answer { answer }).await;
        self.continue_with(reply)
    }

    fn continue_with(&mut self, reply: Option<Reply>) -> Auth {
        match reply {
            Some(Reply::Question(question)) => self.put(question),
            Some(Reply::Accepted) => Auth::Accept,
            Some(Reply::Refused { methods, partial }) => self.refused(methods, partial),
            None => last_word(),
            Some(_) => self.nonsense(),
        }
    }

    fn put(&mut self, question: Question) -> Auth {
        let prompts: Vec<_> = question
            .prompt
            .into_iter()
            .map(|prompt| (prompt.text.into(), prompt.echo))
            .collect();
        self.question = Some(prompts.len());
        Auth::Partial {
            name: "".into(),
            instructions: question.instruction.into(),
            prompts: prompts.into(),
        }
    }

    /// Another user begins anew. False, and the connection ends: that is no user.
    fn now(&mut self, user: &str) -> bool {
        self.question = None;
        if user.len() > LONGEST_USER || user.contains('\0') {
            self.protocol_error("the user name is too long, or none");
            return false;
        }
        if user != self.user {
            user.clone_into(&mut self.user);
            self.methods.clone_from(&self.first_methods);
        }
        true
    }

    fn wire_format(&self, key: &PublicKey) -> Option<(String, Vec<u8>)> {
        let allowed = self.methods.contains(&Method::PublicKey);
        let key_in_wire_format = key.to_bytes().ok().filter(|_| allowed)?;
        Some((key.algorithm().as_str().to_owned(), key_in_wire_format))
    }

    async fn ask(&self, request: &Request) -> Option<Reply> {
        let (reply, _) = self.link.ask(request).await.ok()?;
        Some(reply)
    }

    fn refused(&mut self, methods: Vec<Method>, partial: bool) -> Auth {
        self.methods = methods;
        self.rejected(partial)
    }

    fn rejected(&self, partial_success: bool) -> Auth {
        Auth::Reject {
            proceed_with_methods: Some(method_set(&self.methods)),
            partial_success,
        }
    }

    fn protocol_error(&self, what: &str) {
        self.link.end(End::Say(what.to_owned()));
    }

    /// The monitor said what is no answer to the question.
    fn nonsense(&self) -> Auth {
        self.link.end(End::Gone);
        self.rejected(false)
    }
}

/// While the connection ends something must be answered. After a refusal a client may leave before it reads
/// why; a question without a prompt keeps it.
fn last_word() -> Auth {
    Auth::Partial {
        name: "".into(),
        instructions: "".into(),
        prompts: Vec::new().into(),
    }
}

/// As russh has them.
pub fn method_set(methods: &[Method]) -> MethodSet {
    let mut set = MethodSet::empty();
    for method in methods {
        set.push(match method {
            Method::PublicKey => MethodKind::PublicKey,
            Method::KeyboardInteractive => MethodKind::KeyboardInteractive,
        });
    }
    set
}

/// The answers, in memory that is wiped; russh's own is wiped here, where nobody else has it.
pub fn wiped(response: impl Iterator<Item = bytes::Bytes>) -> Vec<Secret> {
    response
        .map(|answer| {
            let copy = Secret::from(answer.to_vec());
            if let Ok(mut answer) = answer.try_into_mut() {
                answer.as_mut().zeroize();
            }
            copy
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipc::Socket;
    use crate::protocol::Prompt;

    /// A login, and a monitor that asks a question at every beginning and accepts every answer. Joined, it
    /// tells whether one came.
    fn login() -> (Login, std::thread::JoinHandle<bool>) {
        let (ours, theirs) = Socket::pair().unwrap();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let (link, _ended) = Link::new(ours).unwrap();
        let monitor = std::thread::spawn(move || {
            while let Ok(Some((request, _))) = theirs.receive::<Request>(0) {
                if matches!(request, Request::Answer { .. }) {
                    theirs.send(&Reply::Accepted, &[]).unwrap();
                    return true;
                }
                let text = "Code: ".to_owned();
                let question = Question {
                    instruction: String::new(),
                    prompt: Some(Prompt { text, echo: false }),
                };
                theirs.send(&Reply::Question(question), &[]).unwrap();
                if matches!(request, Request::Begin { user } if user == "last") {
                    return false;
                }
            }
            false
        });
        (Login::new(link, &[Method::KeyboardInteractive]), monitor)
    }

    fn one() -> Vec<Secret> {
        vec![Secret::from(b"123456".to_vec())]
    }

    #[tokio::test]
    async fn the_right_number_of_answers_reaches_the_monitor() {
        let (mut login, monitor) = login();
        assert!(matches!(login.begin("alice").await, Auth::Partial { .. }));
        assert_eq!(login.answer("alice", one()).await, Auth::Accept);
        assert!(monitor.join().unwrap());
    }

    #[tokio::test]
    async fn any_other_attempt_forgets_the_question() {
        for user in ["alice", "bob"] {
            let (mut login, monitor) = login();
            login.begin("alice").await;
            login.refuse(user);
            assert_eq!(login.answer("alice", one()).await, last_word());
            login.begin("last").await;
            assert!(!monitor.join().unwrap());
        }
    }

    #[tokio::test]
    async fn an_answer_belongs_to_the_user_who_was_asked() {
        let (mut login, monitor) = login();
        login.begin("alice").await;
        login.begin("bob").await;
        assert_eq!(login.answer("alice", one()).await, last_word());
        login.begin("last").await;
        assert!(!monitor.join().unwrap());
    }

    #[tokio::test]
    async fn a_partial_success_is_not_the_next_users() {
        let (mut login, _monitor) = login();
        login.refused(vec![Method::PublicKey], true);
        login.refuse("bob");
        assert_eq!(login.methods, [Method::KeyboardInteractive]);
    }
}
