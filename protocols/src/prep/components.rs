//! Items as their components: whoever can give a party its shares of those is a provider.

use mpc_core::conv::ConvShape;
use mpc_core::ring::Ring;
use mpc_core::share::{Additive, XorBits};
use mpc_core::tensor::elements;

use super::relation::Value;
use super::{Bilinear, Comparison, Item, MaskPart, Preprocessing, Product, Question};
use crate::correlation::{
    AngleTuple, BulkTriple, ComparisonBundle, DaBits, DotTriple, GivenTriple, MatmulTriple, PayloadMask,
    QuotientParts, ReusableMask, RingBits, SquarePair, Triple, TruncationTuple,
};
use crate::error::PrepError;

/// A party's source of its shares of items.
pub(crate) trait Components<R: Ring>: Send {
    /// Number of the next item.
    fn next_item(&self) -> u32;
    /// This party's shares of the next item's components, in the order of [`Item::components`].
    ///
    /// # Errors
    /// [`PrepError`] when the source fails or something else was agreed for this place.
    fn draw(&mut self, item: Item) -> Result<Vec<Value<R>>, PrepError>;
    /// See [`Preprocessing::prepare`].
    ///
    /// # Errors
    /// [`PrepError`].
    fn prepare_items(&mut self, items: usize) -> Result<(), PrepError>;
    /// See [`Preprocessing::offline_bytes`].
    fn bytes(&self) -> u64;
}

fn ring<R: Ring>(values: &mut std::vec::IntoIter<Value<R>>, shape: &[usize]) -> Additive<R> {
    match values.next() {
        Some(value) => Additive::from_share(value.into_ring().reshape(shape)),
        None => unreachable!("the item's layout has this component"),
    }
}

fn bits<R: Ring>(values: &mut std::vec::IntoIter<Value<R>>) -> XorBits {
    match values.next() {
        Some(value) => XorBits::from_share(value.into_bits()),
        None => unreachable!("the item's layout has this component"),
    }
}

impl<R: Ring, T: Components<R>> Preprocessing<Additive<R>> for T {
    fn triple(&mut self, len: usize) -> Result<Triple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Triple { len })?.into_iter();
        Ok(Triple { a: ring(v, &[len]), b: ring(v, &[len]), c: ring(v, &[len]) })
    }

    fn square(&mut self, len: usize) -> Result<SquarePair<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Square { len })?.into_iter();
        Ok(SquarePair { a: ring(v, &[len]), c: ring(v, &[len]) })
    }

    fn dot(&mut self, len: usize, terms: usize) -> Result<DotTriple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Dot { len, terms })?.into_iter();
        Ok(DotTriple { a: ring(v, &[len * terms]), b: ring(v, &[len * terms]), c: ring(v, &[len]), terms })
    }

    fn matmul(&mut self, m: usize, k: usize, n: usize) -> Result<MatmulTriple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Matmul { m, k, n })?.into_iter();
        Ok(MatmulTriple { a: ring(v, &[m, k]), b: ring(v, &[k, n]), c: ring(v, &[m, n]) })
    }

    fn conv(&mut self, shape: ConvShape) -> Result<BulkTriple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Conv(shape))?.into_iter();
        let [a, b, c] = [shape.input(), shape.kernel(), shape.output()].map(|axes| ring(v, &axes));
        Ok(BulkTriple { map: Bilinear::Conv(shape), a, b, c })
    }

    fn matmuls(&mut self, count: usize, [m, k, n]: [usize; 3]) -> Result<BulkTriple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::BatchMatmul { count, m, k, n })?.into_iter();
        let [a, b, c] = [[m, k], [k, n], [m, n]].map(|[rows, columns]| ring(v, &[count, rows, columns]));
        Ok(BulkTriple { map: Bilinear::Matmuls { count, dims: [m, k, n] }, a, b, c })
    }

    fn reusable_mask(&mut self, shape: &[usize]) -> Result<ReusableMask<Additive<R>>, PrepError> {
        let item = self.next_item();
        let v = &mut self.draw(Item::Mask { len: elements(shape) })?.into_iter();
        Ok(ReusableMask { item, a: ring(v, shape) })
    }

    fn given(&mut self, part: MaskPart, product: Product) -> Result<GivenTriple<Additive<R>>, PrepError> {
        let [_, other, result] = product.shapes();
        let v = &mut self.draw(Item::Given { part, product })?.into_iter();
        Ok(GivenTriple { product, b: ring(v, &other), c: ring(v, &result) })
    }

    fn truncation(&mut self, len: usize, bits: u32) -> Result<TruncationTuple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Truncation { len, bits })?.into_iter();
        Ok(TruncationTuple { r: ring(v, &[len]), w: ring(v, &[len]), e: ring(v, &[len]), bits })
    }

    fn comparison(&mut self, spec: Comparison) -> Result<ComparisonBundle<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Comparison(spec))?.into_iter();
        let (len, rows) = (&[spec.len][..], &[spec.thresholds * spec.len][..]);
        Ok(ComparisonBundle {
            spec,
            r: ring(v, len),
            r_bits: bits(v),
            block_products: bits(v),
            masks: bits(v).into(),
            mask_products: bits(v).into(),
            b: spec.arithmetic.then(|| bits(v)),
            ring: spec.arithmetic.then(|| match spec.question {
                Question::Quotient { .. } => {
                    RingBits::Quotient { shifted: ring(v, len), low: ring(v, len), all: ring(v, len) }
                }
                _ => RingBits::Rows(ring(v, &[spec.answers::<R>() * spec.len])),
            }),
            rb: spec.product.then(|| ring(v, rows)),
            quotient: (spec.truncation > 0).then(|| QuotientParts {
                w: ring(v, len),
                e: ring(v, len),
                wb: ring(v, rows),
                eb: ring(v, rows),
            }),
            payload: (spec.payloads > 0).then(|| {
                let all = [spec.payloads * spec.len];
                PayloadMask { a: ring(v, &all), ab: ring(v, &all) }
            }),
            powers: spec.powers.then(|| (ring(v, len), ring(v, len))),
        })
    }

    fn dabits(&mut self, len: usize) -> Result<DaBits<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::DaBits { len })?.into_iter();
        Ok(DaBits { xor: bits(v), ring: ring(v, &[len]) })
    }

    fn angles(
        &mut self,
        len: usize,
        bits: u32,
        multiples: usize,
    ) -> Result<AngleTuple<Additive<R>>, PrepError> {
        let v = &mut self.draw(Item::Angles { len, bits, multiples })?.into_iter();
        Ok(AngleTuple { r: ring(v, &[len]), sines: ring(v, &[2 * multiples * len]), bits })
    }

    fn prepare(&mut self, items: usize) -> Result<(), PrepError> {
        self.prepare_items(items)
    }

    fn offline_bytes(&self) -> u64 {
        self.bytes()
    }
}
