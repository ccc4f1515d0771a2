//! What holds for every type that holds a secret: it cannot be printed or compared, and moving its keys leaves no copy.
//!
//! [`secret_types!`](crate::secret_types) states the first, beside the type or in a module `secret_types` for a whole crate:
//! a `Debug` that somebody derives for such a type does not compile.
//!
//! ```compile_fail
//! #[derive(Debug)]
//! struct Password(String);
//! mpc_core::secret_types!(Password);
//! ```
//! ```
//! struct Password(String);
//! mpc_core::secret_types!(Password);
//! ```
//!
//! [`SecretBytes`] is the second.

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::prg::{Prg, Seed};
use crate::ring::{Z8, Z64};
use crate::share::{Additive, XorBits};
use crate::transcript::{CorrectionRecorder, LogKey, Recorder};

/// 32 secret bytes in a place of their own on the heap, wiped when dropped. Moving the value moves a pointer: what it was
/// moved out of (a vector, a closure, the state of a task) is freed without the bytes in it.
#[derive(Clone)]
pub struct SecretBytes(Box<Zeroizing<[u8; 32]>>);

impl SecretBytes {
    /// Takes the bytes; this function's own copy is wiped, the caller's is the caller's.
    #[must_use]
    pub fn new(mut bytes: [u8; 32]) -> Self {
        let mut place = Self::zeros();
        place.0.copy_from_slice(&bytes);
        bytes.zeroize();
        place
    }

    /// All zeros, to be written in place.
    #[must_use]
    pub fn zeros() -> Self {
        Self(Box::new(Zeroizing::new([0; 32])))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// The bytes, to be written.
    pub fn expose_mut(&mut self) -> &mut [u8; 32] {
        &mut self.0
    }
}

/// The field wipes itself.
impl ZeroizeOnDrop for SecretBytes {}

/// Refuses to compile if one of the types implements `Debug`, `Display`, `PartialEq`, or one of the traits named before
/// a semicolon. Generic types are listed as an instance.
#[macro_export]
macro_rules! secret_types {
    ($($more:path),+; $($secret:ty),+ $(,)?) => {
        $crate::secret_types!($($secret),+);
        $crate::secret_types!(@each [$($more),+] $($secret),+);
    };
    ($($secret:ty),+ $(,)?) => {
        $crate::secret_types!(@each [::core::fmt::Debug, ::core::fmt::Display, ::core::cmp::PartialEq] $($secret),+);
    };
    (@each $traits:tt $($secret:ty),+) => {
        $($crate::secret_types!(@type $traits $secret);)+
    };
    (@type [$($never:path),+] $secret:ty) => {
        $($crate::secret_types!(@one $never, $secret);)+
    };
    (@one $never:path, $secret:ty) => {
        const _: () = {
            // An inherent constant hides the trait's, and exists only where the bound holds.
            trait Otherwise {
                const IMPLEMENTED: bool = false;
            }
            struct Probe<T: ?Sized>(::core::marker::PhantomData<T>);
            impl<T: ?Sized> Otherwise for Probe<T> {}
            #[allow(dead_code, reason = "used only where the bound holds, which is the mistake")]
            impl<T: ?Sized + $never> Probe<T> {
                const IMPLEMENTED: bool = true;
            }
            assert!(
                !<Probe<$secret>>::IMPLEMENTED,
                concat!(stringify!($secret), " holds a secret and must not implement ", stringify!($never))
            );
        };
    };
}

secret_types!(
    SecretBytes,
    Seed,
    Prg,
    crate::kernels::AesCtr,
    Additive<Z64>,
    Additive<Z8>,
    XorBits,
    crate::bits::BitTensor,
    LogKey,
    Recorder<crate::local::LocalChannel>,
    CorrectionRecorder,
    crate::local::LocalChannel,
);

/// Keys and streams are wiped by whoever drops them last.
const _: fn() = || {
    const fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<SecretBytes>();
    wiped::<Seed>();
    wiped::<Prg>();
    wiped::<LogKey>();
};
