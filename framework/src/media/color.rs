//! Colours as shown on the web: whatever a picture's profile, its pixels are converted to sRGB.
//!
//! Invariant: a profile can only change colours, never cause a picture to be refused. A profile that is
//! broken or does not match the pixels is ignored, as in browsers.

use image::{DynamicImage, RgbImage};
use moxcms::{ColorProfile, DataColorSpace, Layout, TransformOptions};

/// Converts grey or RGB pixels to sRGB using `icc_profile`. Without a profile they are already sRGB: the
/// web assumes that (CSS Color 4, section 3).
pub(super) fn to_srgb(pixels: DynamicImage, icc_profile: Option<&[u8]>) -> RgbImage {
    let profile = icc_profile.and_then(|bytes| ColorProfile::new_from_slice(bytes).ok());
    match profile.and_then(|profile| convert(&pixels, &profile)) {
        Some(converted) => converted,
        None => pixels.into_rgb8(),
    }
}

fn convert(pixels: &DynamicImage, profile: &ColorProfile) -> Option<RgbImage> {
    let (layout, rgb);
    let samples = match (profile.color_space, pixels) {
        (DataColorSpace::Gray, DynamicImage::ImageLuma8(gray)) => {
            layout = Layout::Gray;
            gray.as_raw()
        }
        (DataColorSpace::Rgb, _) => {
            layout = Layout::Rgb;
            rgb = pixels.to_rgb8();
            rgb.as_raw()
        }
        _ => return None,
    };
    let srgb = ColorProfile::new_srgb();
    let transform =
        profile.create_transform_8bit(layout, &srgb, Layout::Rgb, TransformOptions::default()).ok()?;
    let mut converted = RgbImage::new(pixels.width(), pixels.height());
    transform.transform(samples, &mut converted).ok()?;
    Some(converted)
}

#[cfg(test)]
mod tests {
    use image::{GrayImage, Luma, Rgb};

    use super::*;

    fn rgb(color: [u8; 3]) -> DynamicImage {
        DynamicImage::ImageRgb8(RgbImage::from_pixel(2, 2, Rgb(color)))
    }

    fn near(pixels: &RgbImage, expected: [u8; 3]) {
        let found = pixels.get_pixel(1, 1).0;
        let close = found.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 2);
        assert!(close, "{found:?} is not {expected:?}");
    }

    #[test]
    fn display_p3_becomes_srgb() {
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        // By hand: 0.502 0.702 0.4 is linear 0.216 0.451 0.133; CSS Color 4's matrices convert that to
        // 0.163 0.461 0.106 in sRGB, and the sRGB curve to 112.5 180.7 92.1.
        near(&to_srgb(rgb([128, 179, 102]), Some(&p3)), [112, 181, 92]);
        // P3's full green lies outside sRGB and is clipped to its edge.
        near(&to_srgb(rgb([0, 255, 0]), Some(&p3)), [0, 255, 0]);
        near(&to_srgb(rgb([255, 255, 255]), Some(&p3)), [255, 255, 255]);
    }

    #[test]
    fn srgb_and_no_profile_change_nothing() {
        let srgb = ColorProfile::new_srgb().encode().unwrap();
        near(&to_srgb(rgb([200, 60, 30]), Some(&srgb)), [200, 60, 30]);
        assert_eq!(to_srgb(rgb([200, 60, 30]), None).get_pixel(0, 0).0, [200, 60, 30]);
    }

    #[test]
    fn gray_goes_by_a_gray_profile() {
        let linear = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let gray = DynamicImage::ImageLuma8(GrayImage::from_pixel(2, 2, Luma([55])));
        // 55 / 255 of the light is 128 on sRGB's curve.
        near(&to_srgb(gray, Some(&linear)), [128, 128, 128]);
    }

    #[test]
    fn a_profile_that_is_broken_or_of_another_kind_is_ignored() {
        let gray = ColorProfile::new_gray_with_gamma(1.0).encode().unwrap();
        let p3 = ColorProfile::new_display_p3().encode().unwrap();
        for profile in [&b"no profile"[..], &[], &gray, &p3[..p3.len() / 2]] {
            assert_eq!(to_srgb(rgb([200, 60, 30]), Some(profile)).get_pixel(0, 0).0, [200, 60, 30]);
        }
    }
}
