//! A channel or correction source that two owners hold: the session, which uses it, and the job, which must finish the
//! recording whatever became of the session.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use mpc_core::channel::{Broadcast, Channel, ChannelError, CorrectionSource};
use mpc_core::party::{PartyId, PerParty};
use mpc_core::tag::Tag;

/// A value with several owners, used by one at a time.
pub(super) struct Shared<T>(Arc<Mutex<T>>);

impl<T> Shared<T> {
    pub(super) fn new(value: T) -> Self {
        Self(Arc::new(Mutex::new(value)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, unless it is in use right now.
    pub(super) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok()
    }
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<C: Channel> Channel for Shared<C> {
    fn me(&self) -> PartyId {
        self.lock().me()
    }

    fn parties(&self) -> usize {
        self.lock().parties()
    }

    fn exchange(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
    ) -> Result<PerParty<Option<Bytes>>, ChannelError> {
        self.lock().exchange(tag, send, expect)
    }

    fn exchange_pieces(
        &mut self,
        tag: Tag,
        send: PerParty<Option<Bytes>>,
        expect: PerParty<Option<usize>>,
        take: &mut dyn FnMut(PartyId, &[u8]),
    ) -> Result<(), ChannelError> {
        self.lock().exchange_pieces(tag, send, expect, take)
    }

    fn broadcast(&mut self, tag: Tag, bytes: usize, message: &mut dyn Broadcast) -> Result<(), ChannelError> {
        self.lock().broadcast(tag, bytes, message)
    }
}

impl<S: CorrectionSource> CorrectionSource for Shared<S> {
    fn next(&mut self, item: u32, bytes: usize) -> Result<Bytes, ChannelError> {
        self.lock().next(item, bytes)
    }

    fn read(&mut self, item: u32, bytes: usize, take: &mut dyn FnMut(&[u8])) -> Result<(), ChannelError> {
        self.lock().read(item, bytes, take)
    }
}
