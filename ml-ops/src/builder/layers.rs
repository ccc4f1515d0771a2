//! Layers of networks: those that are one operation, and those that are made of several.

use mpc_core::fixed::encode;
use mpc_core::ring::Ring as _;
use mpc_core::windows::{Outside, Sliding};
use ndarray::{Array2, Axis};

use super::{ProgramBuilder, Value};
use crate::error::ProgramError;
use crate::op::Op;

impl ProgramBuilder {
    /// The convolution of images \[images, channels, height, width\] by a kernel \[filters, channels, height, width\], which is
    /// not flipped, and one number per filter as bias, which joins before the only truncation. What windows have beyond the
    /// images is zero. Rounds and error as [`ProgramBuilder::mul`]; the images and the kernel are opened, not the windows.
    ///
    /// # Errors
    /// As [`ProgramBuilder::mul`].
    ///
    /// ```
    /// use ml_ops::{Owner, Program, Sliding};
    /// use mpc_core::fixed::FracBits;
    /// let mut p = Program::builder("edges", FracBits::DEFAULT, &["a", "b"]);
    /// let x = p.input("images", Owner(0), [8, 1, 28, 28], 1.0)?;
    /// let w = p.weights("kernel", Owner(1), [20, 1, 5, 5], 1.0)?;
    /// let y = p.conv2d(x, w, None, Sliding::by(1))?;
    /// assert_eq!(p.fact(y)?.shape.dims(), [8, 20, 24, 24]);
    /// # Ok::<(), ml_ops::ProgramError>(())
    /// ```
    pub fn conv2d(
        &mut self,
        x: Value,
        w: Value,
        bias: Option<Value>,
        sliding: Sliding,
    ) -> Result<Value, ProgramError> {
        self.conv2d_grouped(x, w, bias, sliding, 1)
    }

    /// As [`ProgramBuilder::conv2d`], in groups of channels and filters that do not meet: the kernel is
    /// \[filters, channels / groups, height, width\]. As many groups as channels are a depthwise convolution.
    ///
    /// # Errors
    /// As [`ProgramBuilder::mul`].
    pub fn conv2d_grouped(
        &mut self,
        x: Value,
        w: Value,
        bias: Option<Value>,
        sliding: Sliding,
        groups: usize,
    ) -> Result<Value, ProgramError> {
        let operands: Vec<Value> = [x, w].into_iter().chain(bias).collect();
        self.push("conv2d", &operands, |v| Op::Conv {
            x: v[0],
            w: v[1],
            bias: v.get(2).copied(),
            sliding,
            groups,
        })
    }

    /// The elements of every window on images \[images, channels, height, width\], along a new second axis:
    /// \[images, window, channels, down, across\]. Local. What pooling is made of.
    ///
    /// # Errors
    /// Not images, or windows that do not fit them.
    pub fn unfold(
        &mut self,
        x: Value,
        window: [usize; 2],
        sliding: Sliding,
        outside: Outside,
    ) -> Result<Value, ProgramError> {
        self.push("unfold", &[x], |v| Op::Unfold { x: v[0], window, sliding, outside })
    }

    /// The largest element of every window; what is beyond the images does not count. Exact; rounds as
    /// [`ProgramBuilder::max`] of as many elements. Where windows overlap so far that it takes fewer comparisons, columns
    /// come first and then rows.
    ///
    /// A ReLU is best applied to the result, not before: it is the same then and takes fewer comparisons. So applied, it does the
    /// truncation of a convolution before the pooling, too ([`ProgramBuilder::relu`]).
    ///
    /// # Errors
    /// Not images; windows that do not fit them or are beside them altogether.
    pub fn max_pool2d(
        &mut self,
        x: Value,
        window: [usize; 2],
        sliding: Sliding,
    ) -> Result<Value, ProgramError> {
        let pool = |p: &mut Self, x, window, sliding| {
            let windows = p.unfold(x, window, sliding, Outside::Nearest)?;
            p.max(windows, Axis(1))
        };
        self.check("unfold", &[x])?;
        if let [_, _, height, width] = *self.fact_of(x).shape.dims()
            && let Some([_, across]) = sliding.positions([height, width], window)
            && window[0] > 1
            && window[1] > 1
        {
            // Comparisons for each of the rows of windows.
            let at_once = (window[0] * window[1] - 1) * across;
            if (window[0] - 1) * width + (window[1] - 1) * across < at_once {
                let Sliding { stride: [down, right], dilation: [d, e], padding: [above, beside] } = sliding;
                let vertical = Sliding { stride: [down, 1], dilation: [d, 1], padding: [above, [0; 2]] };
                let horizontal = Sliding { stride: [1, right], dilation: [1, e], padding: [[0; 2], beside] };
                let columns = pool(self, x, [window[0], 1], vertical)?;
                return pool(self, columns, [1, window[1]], horizontal);
            }
        }
        pool(self, x, window, sliding)
    }

    /// The mean of every window: of all its elements with zeros beyond the images (`counted`), or of those on the image, which with
    /// padding takes a second truncation. Rounds and error as [`ProgramBuilder::scale`].
    ///
    /// # Errors
    /// As [`ProgramBuilder::max_pool2d`] and [`ProgramBuilder::mean`].
    pub fn average_pool2d(
        &mut self,
        x: Value,
        window: [usize; 2],
        sliding: Sliding,
        counted: bool,
    ) -> Result<Value, ProgramError> {
        let windows = self.unfold(x, window, sliding, Outside::Zero)?;
        let mean = self.mean(windows, Axis(1))?;
        if counted || sliding.padding == [[0; 2]; 2] {
            return Ok(mean);
        }
        let shape = |v: Value| self.fact_of(v).shape.dims();
        let (&[.., height, width], &[.., down, across]) = (shape(x), shape(mean)) else {
            unreachable!("inference unfolds images alone")
        };
        let image = [height, width];
        let on_image = |axis: usize, position: usize| {
            let inside = |&tap: &usize| sliding.inside(axis, position, tap, image[axis]).is_some();
            (0..window[axis]).filter(inside).count()
        };
        let counts = Array2::from_shape_fn((down, across), |(i, j)| on_image(0, i) * on_image(1, j));
        if counts.iter().any(|&n| n == 0) {
            let (node, op) = (self.program.nodes.len() as u32, "average_pool2d");
            return Err(ProgramError::Parameter {
                node,
                op,
                what: "every window has an element of the image",
            });
        }
        // Close to 1, and often exact.
        let all = (window[0] * window[1]) as f64;
        let ratios = self.constant(&counts.map(|&n| all / n as f64).into_dyn())?;
        self.mul(mean, ratios)
    }

    /// The mean of every channel of images \[images, channels, …\], as \[images, channels\].
    ///
    /// # Errors
    /// As [`ProgramBuilder::mean`].
    pub fn global_average_pool(&mut self, x: Value) -> Result<Value, ProgramError> {
        let planes = self.planes(x)?;
        self.mean(planes, Axis(2))
    }

    /// The largest element of every channel of images \[images, channels, …\], as \[images, channels\].
    ///
    /// # Errors
    /// As [`ProgramBuilder::max`].
    pub fn global_max_pool(&mut self, x: Value) -> Result<Value, ProgramError> {
        let planes = self.planes(x)?;
        self.max(planes, Axis(2))
    }

    /// Channels of images along a third axis. Two axes have one element each.
    fn planes(&mut self, x: Value) -> Result<Value, ProgramError> {
        self.check("reshape", &[x])?;
        let shape = self.fact_of(x).shape.clone();
        let [images, channels] = [0, 1].map(|axis| shape.dims().get(axis).copied().unwrap_or(1));
        self.reshape(x, [images, channels, shape.elements() / (images * channels)])
    }

    /// scale · x + shift, a number for every channel, the second axis: a batch normalisation at inference, folded. See
    /// [`BatchNorm::fold`](crate::layers::BatchNorm::fold) for one after a layer, which costs nothing.
    ///
    /// # Errors
    /// As [`ProgramBuilder::mul`].
    pub fn batch_norm(&mut self, x: Value, scale: Value, shift: Value) -> Result<Value, ProgramError> {
        let scale = self.per_channel(x, scale)?;
        let shift = self.per_channel(x, shift)?;
        let scaled = self.mul(x, scale)?;
        self.add(scaled, shift)
    }

    /// A number for every channel, in a shape that broadcasts to x.
    fn per_channel(&mut self, x: Value, numbers: Value) -> Result<Value, ProgramError> {
        self.check("batch_norm", &[x, numbers])?;
        let rest = self.fact_of(x).shape.rank().saturating_sub(2);
        let channels = self.fact_of(numbers).shape.elements();
        let shape = [&[channels][..], &vec![1; rest]].concat();
        if self.fact_of(numbers).is_secret() {
            return self.reshape(numbers, shape);
        }
        // Constants are computed while building.
        let Op::Constant { scale, values } = &self.program.nodes[numbers.node as usize].op else {
            unreachable!("public values are constants")
        };
        let (scale, values) = (*scale, values.clone().reshape(&shape));
        self.push("constant", &[], |_| Op::Constant { scale, values })
    }

    /// The axes from `axis` on as one, and those before it as one. Local.
    ///
    /// # Errors
    /// An axis that does not exist.
    pub fn flatten(&mut self, x: Value, axis: Axis) -> Result<Value, ProgramError> {
        self.check("flatten", &[x])?;
        let dims = self.fact_of(x).shape.dims();
        let Some((before, after)) = dims.split_at_checked(axis.0) else {
            let (node, shape) = (self.program.nodes.len() as u32, self.fact_of(x).shape.clone());
            return Err(ProgramError::NoSuchAxis { node, op: "flatten", axis: axis.0, shape });
        };
        let shape = [before, after].map(|axes| axes.iter().product());
        self.reshape(x, shape)
    }

    /// Axes in another order: axis i of the result is axis `axes[i]` of x. Local.
    ///
    /// # Errors
    /// An order that does not name every axis once.
    pub fn permute(&mut self, x: Value, axes: &[usize]) -> Result<Value, ProgramError> {
        self.push("permute", &[x], |v| Op::Permute { x: v[0], axes: axes.to_vec() })
    }

    /// More elements around x, all of one public value: `before` the first and `after` the last along every axis. Local.
    ///
    /// # Errors
    /// Not a number for every axis; a value that is not finite or too large, or that rounding would make zero.
    pub fn pad(
        &mut self,
        x: Value,
        before: &[usize],
        after: &[usize],
        value: f64,
    ) -> Result<Value, ProgramError> {
        let frac = self.program.frac.bits();
        let encoded = encode(&ndarray::arr0(value).into_dyn(), frac, f64::INFINITY);
        let encoded = encoded.map_err(|source| ProgramError::Encoding { op: "pad", source })?;
        let units = encoded.as_slice()[0].to_i64();
        if units == 0 && value != 0.0 {
            return Err(ProgramError::Rounding { op: "pad", position: 0, value, rounded: 0.0, frac });
        }
        self.push("pad", &[x], |v| Op::Pad {
            x: v[0],
            before: before.to_vec(),
            after: after.to_vec(),
            value: units,
        })
    }
}
