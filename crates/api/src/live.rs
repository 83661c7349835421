//! Who listens to what happens to them, and telling them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_channel::mpsc;
use futures_util::StreamExt;
use quizmentor_core::LearnerId;

use crate::{
    App,
    hot::{News, SessionNews},
};

/// Listeners of one learner at most.
const LISTENERS: usize = 16;
/// What waits for a listener at most, besides the one message that a channel always takes; one who
/// takes less is let go, and may come again.
const BACKLOG: usize = 3;
/// How long to wait before news are listened to again.
const PAUSE: Duration = Duration::from_millis(500);

/// What a listener is told.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// Something happened to the learner.
    News(Arc<SessionNews>),
    /// Something may have been missed.
    Missed,
}

/// All who listen in this process.
#[derive(Default)]
pub(crate) struct Live {
    listeners: Mutex<HashMap<LearnerId, Vec<mpsc::Sender<Message>>>>,
}

/// What one listener is told, until dropped. It ends when the process does, or when the listener
/// falls behind.
pub(crate) struct Listening {
    app: Arc<App>,
    learner: LearnerId,
    messages: mpsc::Receiver<Message>,
}

impl Listening {
    pub(crate) async fn next(&mut self) -> Option<Message> {
        self.messages.next().await
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.messages.close();
        let mut all = self.app.live.listeners();
        if let Some(listeners) = all.get_mut(&self.learner) {
            listeners.retain(|listener| !listener.is_closed());
            if listeners.is_empty() {
                all.remove(&self.learner);
            }
        }
    }
}

impl Live {
    fn listeners(&self) -> MutexGuard<'_, HashMap<LearnerId, Vec<mpsc::Sender<Message>>>> {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, learner: LearnerId, message: &Message) {
        if let Some(listeners) = self.listeners().get_mut(&learner) {
            pass(listeners, message);
        }
    }

    /// Lets the listeners of `learner` go.
    fn dismiss(&self, learner: LearnerId) {
        self.listeners().remove(&learner);
    }

    fn tell_all(&self, message: &Message) {
        for listeners in self.listeners().values_mut() {
            pass(listeners, message);
        }
    }
}

/// Tells listeners, and lets those go who are gone or fall behind.
fn pass(listeners: &mut Vec<mpsc::Sender<Message>>, message: &Message) {
    listeners.retain_mut(|listener| listener.try_send(message.clone()).is_ok());
}

impl App {
    /// Listens to what happens to `learner`; `None` when too many do already.
    pub(crate) fn listen_to(self: &Arc<Self>, learner: LearnerId) -> Option<Listening> {
        let mut all = self.live.listeners();
        let listeners = all.entry(learner).or_default();
        if listeners.len() >= LISTENERS {
            return None;
        }
        let (sender, messages) = mpsc::channel(BACKLOG);
        listeners.push(sender);
        drop(all);
        Some(Listening { app: Arc::clone(self), learner, messages })
    }

    /// Lets all listeners go, who would otherwise stay for ever.
    pub fn end_listening(&self) {
        self.live.listeners().clear();
    }

    /// Follows the news of all processes until dropped.
    pub async fn follow_news(self: Arc<Self>) {
        loop {
            match self.hot.listen().await {
                Ok(mut news) => {
                    self.live.tell_all(&Message::Missed);
                    while let Some(message) = news.recv().await {
                        match self.hot.hear(&message) {
                            Some(News::Session(news)) => {
                                self.live.tell(news.learner, &Message::News(Arc::new(news)));
                            }
                            Some(News::Erased { erased }) => self.live.dismiss(erased),
                            Some(News::Missed { .. }) => self.live.tell_all(&Message::Missed),
                            None => {}
                        }
                    }
                    self.hot.grow_deaf();
                    tracing::warn!("news of other processes are missed");
                }
                Err(error) => tracing::debug!(%error, "news cannot be listened to"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
}
