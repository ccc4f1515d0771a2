//! Types of the node that hold keys, shares, inputs or messages: a `Debug`, a comparison or a serialisation derived for one
//! of them does not compile. Those that are private to a module are listed there.

use crate::job::Prepared;
use crate::net::{
    Connected, CorrectionSink, DealerLink, DealerServer, DealerSession, PeerKeys, QuicChannel,
    QuicCorrections, SessionHandle,
};

mpc_core::secret_types!(
    serde::Serialize;
    Prepared,
    PeerKeys,
    Connected,
    DealerLink,
    DealerServer,
    DealerSession,
    CorrectionSink,
    QuicChannel,
    QuicCorrections,
    mpc_core::transcript::Recorder<QuicChannel>,
    mpc_core::transcript::RecordedCorrections<QuicCorrections>,
    SessionHandle,
    crate::net::keys::Exported,
    crate::net::tls::OwnKey,
    crate::net::frame::Frame,
    crate::log::LogStore,
    crate::log::LogWriter,
    crate::log::LogHandle,
    crate::demo::check::Applicant,
    crate::demo::check::Checked,
    crate::demo::Demonstration,
);
