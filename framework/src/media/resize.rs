//! Resizes pictures with pic-scale.

use std::sync::Arc;

use image::{GrayImage, RgbImage};
use pic_scale::{
    ImageSize, ImageStore, ImageStoreMut, PicScaleError, Resampling, ResamplingFunction, Scaler,
    ThreadingPolicy,
};

use crate::error::{Error, Result};

/// Resizes a picture with Lanczos3. Each step starts from little more than twice its own width, so that
/// no visible softness accumulates.
pub(super) fn resize(picture: &RgbImage, width: u32, height: u32) -> Result<RgbImage> {
    let scaled = scale(picture, picture.dimensions(), (width, height), Scaler::plan_rgb_resampling)?;
    RgbImage::from_raw(width, height, scaled).ok_or_else(wrong_size)
}

/// Resizes a grey picture.
pub(super) fn resize_gray(picture: &GrayImage, width: u32, height: u32) -> Result<GrayImage> {
    let scaled = scale(picture, picture.dimensions(), (width, height), Scaler::plan_planar_resampling)?;
    GrayImage::from_raw(width, height, scaled).ok_or_else(wrong_size)
}

type Size = (u32, u32);
type Plan<const N: usize> = Result<Arc<Resampling<u8, N>>, PicScaleError>;

/// Resizes pixels of `N` samples. Its calls to the scaler use no generic types of ours, so that a
/// development build runs the scaler optimised.
fn scale<const N: usize>(
    pixels: &[u8],
    from: Size,
    to: Size,
    plan: fn(&Scaler, ImageSize, ImageSize) -> Plan<N>,
) -> Result<Vec<u8>> {
    let size = |(width, height): Size| ImageSize::new(width as usize, height as usize);
    let (source_size, target_size) = (size(from), size(to));
    let mut target = vec![0; target_size.width * target_size.height * N];
    let mut scaled = || {
        let scaler = Scaler::new(ResamplingFunction::Lanczos3).set_threading_policy(ThreadingPolicy::Single);
        let source = ImageStore::<u8, N>::from_slice(pixels, source_size.width, source_size.height)?;
        let mut store =
            ImageStoreMut::<u8, N>::from_slice(&mut target, target_size.width, target_size.height)?;
        plan(&scaler, source_size, target_size)?.resample(&source, &mut store)
    };
    scaled().map_err(|error| {
        Error::internal(format!("cannot scale a picture from {from:?} to {to:?}: {error}"))
    })?;
    Ok(target)
}

fn wrong_size() -> Error {
    Error::internal("a scaled picture is not of the size that was asked for")
}
