// SPDX-License-Identifier: MIT OR Apache-2.0
//! The opening of a new link's session. Whoever reads takes the steps.

use std::mem;
use std::time::Duration;

use super::{Peer, Phase, Way, after};
use crate::client::connect::fresh_handshake_id;
use crate::client::connection::{Connection, Outcome, State};
use crate::client::execute::check;
use crate::client::failure::{End, Failure};
use crate::client::log::Level;
use crate::client::turns::Aftermath;
use crate::session::Session;
use crate::session::dialect::{Dialect, Opening};
use crate::session::events::KIND_RECONNECTED;
use crate::sys::sync::Instant;
use crate::wire::command::{self, Band};
use crate::wire::cut;

/// How long one attempt may take, from the connected socket to the reply to the negotiation.
pub(super) const ATTEMPT: Duration = Duration::from_secs(10);
/// How long a new peer is left in peace before it is kicked, or asked anew for the first time.
pub(super) const NUDGE: Duration = Duration::from_secs(1);

/// As much of the VM's own words is told.
const SHOWN: usize = 256;

pub(super) struct Handshake {
    /// Of the negotiation, or the sync, once it is under way.
    id: Option<u64>,
    begun: Instant,
    until: Instant,
    nudge: Option<Instant>,
    /// Before the nudge, and twice as long before the next.
    patience: Duration,
    /// What speaks against the peer.
    refused: Option<String>,
}

impl Handshake {
    pub fn begin(state: &mut State, dialect: &Dialect, now: Instant) -> Handshake {
        let end_of_all = state.reconnecting.as_ref().and_then(|it| it.end_of_all());
        let limit = after(now, ATTEMPT);
        let mut handshake = Handshake {
            id: None,
            begun: now,
            until: end_of_all.map_or(limit, |end| end.min(limit)),
            nudge: None,
            patience: NUDGE,
            refused: None,
        };
        if let Opening::Sync { command } = dialect.opening {
            handshake.sync(&mut state.session, command, now);
        }
        handshake
    }

    pub fn due(&self) -> Instant {
        self.nudge.map_or(self.until, |nudge| nudge.min(self.until))
    }

    fn sync(&mut self, session: &mut Session<u64>, command: &str, now: Instant) {
        let number = fresh_handshake_id();
        if session.sync(command, number, number) {
            self.id = Some(number);
        }
        self.nudge = Some(after(now, self.patience));
        self.patience *= 2;
    }
}

impl Connection {
    pub(super) fn tend_handshake(
        &self,
        state: &mut State,
        now: Instant,
        aftermath: &mut Aftermath<'_>,
    ) {
        let Some(handshake) = state.handshake() else {
            return;
        };
        if let Some(words) = handshake.refused.take() {
            return self.finish(state, End::Refused(words), aftermath);
        }
        if now >= handshake.until {
            let waited = now.saturating_duration_since(handshake.begun);
            return self.finish(state, End::Silent(waited), aftermath);
        }
        if handshake.nudge.is_none_or(|at| now < at) {
            return;
        }
        handshake.nudge = None;
        match self.options.dialect.opening {
            Opening::Greeting { .. } => {
                if let Some(Way::Dial(target)) = state.reconnecting.as_ref().map(|it| &it.way) {
                    aftermath.kick = Some(target.clone());
                }
            }
            Opening::Sync { command } => {
                let Some(reconnecting) = state.reconnecting.as_deref_mut() else {
                    return;
                };
                if let Phase::Handshaking(handshake) = &mut reconnecting.phase {
                    handshake.sync(&mut state.session, command, now);
                }
            }
        }
    }

    /// After reading: what a handshake under way needs next. The lock is not held.
    pub(in crate::client) fn carry_on_handshake(&self, aftermath: &mut Aftermath<'_>) {
        let mut state = self.state.lock();
        if state.is_handshaking() {
            self.tend_handshake(&mut state, Instant::now(), aftermath);
            self.update_alarm(&mut state, aftermath);
            drop(self.flush(state, aftermath));
        } else {
            // It may have been done just now.
            self.update_alarm(&mut state, aftermath);
        }
    }

    /// The greeting of a new link.
    pub(in crate::client) fn greeted_again(&self, state: &mut State) {
        let Opening::Greeting { negotiation } = self.options.dialect.opening else {
            return;
        };
        if !state.is_handshaking() {
            return;
        }
        let id = fresh_handshake_id();
        let enable = state
            .enables_out_of_band()
            .then_some("{\"enable\": [\"oob\"]}");
        let bytes = check(negotiation, enable)
            .ok()
            .and_then(|it| command::encode(Band::InBand, negotiation, it.as_ref(), id));
        let Some(handshake) = state.handshake() else {
            return;
        };
        handshake.nudge = Some(after(Instant::now(), handshake.patience));
        match bytes {
            Some(bytes) => {
                handshake.id = Some(id);
                state.session.pending.submit(id, bytes, id, false);
            }
            None => handshake.refused = Some("no memory for the negotiation".to_owned()),
        }
    }
}

impl State {
    fn handshake(&mut self) -> Option<&mut Handshake> {
        match &mut self.reconnecting.as_deref_mut()?.phase {
            Phase::Handshaking(handshake) => Some(handshake),
            _ => None,
        }
    }

    pub(in crate::client) fn is_handshake(&self, id: u64) -> bool {
        match self.reconnecting.as_deref().map(|it| &it.phase) {
            Some(Phase::Handshaking(handshake)) => handshake.id == Some(id),
            _ => false,
        }
    }

    fn enables_out_of_band(&self) -> bool {
        let wanted = self
            .reconnecting
            .as_ref()
            .is_some_and(|it| it.wants_out_of_band);
        let greeting = self.session.greeting.as_ref();
        wanted && greeting.is_some_and(|it| it.offers("oob"))
    }

    /// The outcome of the negotiation, or the sync.
    pub(in crate::client) fn handshake_answered(
        &mut self,
        outcome: Outcome,
        after: &mut Aftermath<'_>,
    ) {
        let peer = self.link.peer().map(Peer::of);
        let enabled = self.enables_out_of_band();
        let Some(handshake) = self.handshake() else {
            return;
        };
        if let Err(failure) = outcome {
            handshake.refused = Some(match failure {
                Failure::Answer(body) => {
                    format!(
                        "it refused the handshake: {}",
                        cut(&body.description, SHOWN)
                    )
                }
                _ => "its answer to the handshake is none".to_owned(),
            });
            return;
        }
        if enabled {
            self.session.pending.allow_out_of_band();
        }
        let Some(reconnecting) = self.reconnecting.as_deref_mut() else {
            return;
        };
        reconnecting.enter(Phase::Up);
        let down = reconnecting.down.elapsed().as_millis();
        let before = mem::replace(&mut reconnecting.peer, peer);
        let pid = peer.map_or("null".to_owned(), |peer| peer.pid.to_string());
        let another = match before.zip(peer) {
            Some((before, peer)) => (before != peer).to_string(),
            None => "null".to_owned(),
        };
        self.epoch += 1;
        let data = format!(
            "{{\"epoch\": {}, \"pid\": {pid}, \"another-process\": {another}, \"down-ms\": {down}}}",
            self.epoch
        );
        self.publish_own(KIND_RECONNECTED, "RECONNECTED", &data, after);
        after
            .notes
            .add(Level::Info, || format!("connected again: {data}"));
        after.wakes |= self.asleep(!0);
        self.update_signal();
    }
}
