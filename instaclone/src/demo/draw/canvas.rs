//! The canvas that pictures are drawn on: gradients, glows, soft layers, grain.
//!
//! Every loop over pixels is in the drawing library, which is compiled with optimisation even when this
//! crate is not. Only tiles of a few thousand pixels are made here one by one.

use tiny_skia::{
    BlendMode, Color, FillRule, FilterQuality, GradientStop, LinearGradient, Paint, Path, PathBuilder,
    Pattern, Pixmap, PixmapPaint, Point, RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

use super::random::Random;

/// The width of every picture, in pixels: the width of the largest rendition.
pub const WIDTH: u32 = 1080;

/// A picture being drawn.
pub struct Canvas {
    pixels: Pixmap,
    /// In pixels.
    pub width: f32,
    /// In pixels.
    pub height: f32,
}

/// A colour from its hexadecimal digits.
pub fn hex(rgb: u32) -> Color {
    Color::from_rgba8((rgb >> 16) as u8, (rgb >> 8) as u8, rgb as u8, 255)
}

/// A colour between two.
pub fn mix(from: Color, to: Color, part: f32) -> Color {
    let part = part.clamp(0.0, 1.0);
    // Mixing squares is closer to how light adds up, so that no mixture is muddy.
    let blend = |a: f32, b: f32| (a * a + (b * b - a * a) * part).sqrt().clamp(0.0, 1.0);
    let alpha = from.alpha() + (to.alpha() - from.alpha()) * part;
    Color::from_rgba(
        blend(from.red(), to.red()),
        blend(from.green(), to.green()),
        blend(from.blue(), to.blue()),
        alpha.clamp(0.0, 1.0),
    )
    .unwrap_or(from)
}

/// The same colour with this opacity.
pub fn faded(mut color: Color, alpha: f32) -> Color {
    color.set_alpha(alpha.clamp(0.0, 1.0));
    color
}

/// Lighter, or darker if `by` is negative.
pub fn shade(color: Color, by: f32) -> Color {
    if by < 0.0 {
        return mix(color, Color::BLACK, -by);
    }
    let lift = |part: f32| (part + (1.0 - part) * by).clamp(0.0, 1.0);
    Color::from_rgba(lift(color.red()), lift(color.green()), lift(color.blue()), color.alpha())
        .unwrap_or(color)
}

impl Canvas {
    /// A transparent canvas.
    pub fn new(width: u32, height: u32) -> Self {
        let pixels = Pixmap::new(width.max(1), height.max(1)).unwrap_or_else(|| unreachable!("it is small"));
        Self { pixels, width: width as f32, height: height as f32 }
    }

    /// The finished picture.
    pub fn into_pixels(self) -> Pixmap {
        self.pixels
    }

    fn whole(&self) -> Rect {
        Rect::from_xywh(0.0, 0.0, self.width, self.height).unwrap_or_else(|| unreachable!("it has a size"))
    }

    fn paint_with(shader: Shader<'_>, blend_mode: BlendMode) -> Paint<'_> {
        Paint { shader, blend_mode, anti_alias: true, ..Paint::default() }
    }

    /// Fills the whole canvas from top to bottom. The stops are heights and colours.
    pub fn sky(&mut self, stops: &[(f32, Color)]) {
        let shader = vertical(stops, 0.0, self.height);
        self.pixels.fill_rect(
            self.whole(),
            &Self::paint_with(shader, BlendMode::SourceOver),
            Transform::identity(),
            None,
        );
    }

    /// Draws a gradient from `top` to `bottom` over everything between them.
    pub fn veil(&mut self, top: f32, bottom: f32, stops: &[(f32, Color)], blend: BlendMode) {
        if let Some(rect) = Rect::from_ltrb(0.0, top, self.width, bottom.max(top + 1.0)) {
            let paint = Self::paint_with(vertical(stops, top, bottom), blend);
            self.pixels.fill_rect(rect, &paint, Transform::identity(), None);
        }
    }

    /// Draws a gradient from `top` to `bottom` in a column of this width.
    pub fn column(&mut self, x: f32, width: f32, top: f32, bottom: f32, stops: &[(f32, Color)]) {
        if let Some(rect) = Rect::from_ltrb(x, top, x + width, bottom) {
            let paint = Self::paint_with(vertical(stops, top, bottom), BlendMode::SourceOver);
            self.pixels.fill_rect(rect, &paint, Transform::identity(), None);
        }
    }

    /// Fills a shape with one colour.
    pub fn fill(&mut self, path: Option<Path>, color: Color) {
        self.shape(path, Shader::SolidColor(color), BlendMode::SourceOver);
    }

    /// Fills a shape with a gradient from `top` to `bottom`.
    pub fn fill_down(&mut self, path: Option<Path>, top: (f32, Color), bottom: (f32, Color)) {
        let shader = vertical(&[(0.0, top.1), (1.0, bottom.1)], top.0, bottom.0);
        self.shape(path, shader, BlendMode::SourceOver);
    }

    /// Fills a shape with a gradient along a line.
    pub fn fill_along(&mut self, path: Option<Path>, from: (f32, f32, Color), to: (f32, f32, Color)) {
        let stops = vec![GradientStop::new(0.0, from.2), GradientStop::new(1.0, to.2)];
        let (start, end) = (Point::from_xy(from.0, from.1), Point::from_xy(to.0, to.1));
        let shader = LinearGradient::new(start, end, stops, SpreadMode::Pad, Transform::identity());
        self.shape(path, shader.unwrap_or(Shader::SolidColor(from.2)), BlendMode::SourceOver);
    }

    /// Fills a shape like a lit ball: brightest at a point, darkest at `radius` from it.
    pub fn fill_round(&mut self, path: Option<Path>, at: (f32, f32), radius: f32, stops: &[(f32, Color)]) {
        self.shape(path, radial(at, radius, stops), BlendMode::SourceOver);
    }

    fn shape(&mut self, path: Option<Path>, shader: Shader<'_>, blend: BlendMode) {
        if let Some(path) = path {
            let paint = Self::paint_with(shader, blend);
            self.pixels.fill_path(&path, &paint, FillRule::Winding, Transform::identity(), None);
        }
    }

    /// Draws a line.
    pub fn stroke(&mut self, path: Option<Path>, width: f32, color: Color) {
        if let Some(path) = path {
            let paint = Self::paint_with(Shader::SolidColor(color), BlendMode::SourceOver);
            let stroke = Stroke {
                width,
                line_cap: tiny_skia::LineCap::Round,
                line_join: tiny_skia::LineJoin::Round,
                ..Stroke::default()
            };
            self.pixels.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
        }
    }

    /// Light around a point, fading to nothing at `radius`.
    pub fn glow(&mut self, at: (f32, f32), radius: f32, color: Color, blend: BlendMode) {
        let a = color.alpha();
        let stops = [
            (0.0, color),
            (0.25, faded(color, a * 0.55)),
            (0.55, faded(color, a * 0.16)),
            (1.0, faded(color, 0.0)),
        ];
        let rect = Rect::from_ltrb(
            (at.0 - radius).max(0.0),
            (at.1 - radius).max(0.0),
            (at.0 + radius).min(self.width),
            (at.1 + radius).min(self.height),
        );
        if let Some(rect) = rect {
            let paint = Self::paint_with(radial(at, radius, &stops), blend);
            self.pixels.fill_rect(rect, &paint, Transform::identity(), None);
        }
    }

    /// Draws another canvas over this one, stretched to its size: drawings on a small canvas become
    /// soft.
    pub fn overlay(&mut self, layer: &Self, opacity: f32, blend: BlendMode) {
        self.overlay_band(layer, (0.0, self.height), opacity, blend);
    }

    /// Draws another canvas over a band of this one.
    pub fn overlay_band(
        &mut self,
        layer: &Self,
        (top, bottom): (f32, f32),
        opacity: f32,
        blend_mode: BlendMode,
    ) {
        let (x, y) = (self.width / layer.width, (bottom - top) / layer.height);
        let quality = if x == 1.0 { FilterQuality::Nearest } else { FilterQuality::Bilinear };
        let paint = PixmapPaint { opacity, blend_mode, quality };
        let place = Transform::from_row(x, 0.0, 0.0, y, 0.0, top);
        self.pixels.draw_pixmap(0, 0, layer.pixels.as_ref(), &paint, place, None);
    }

    /// The same picture out of focus: halved `halvings` times, and stretched again.
    pub fn blurred(&self, halvings: u32) -> Self {
        let mut small = Self::new(self.width as u32, self.height as u32);
        small.overlay(self, 1.0, BlendMode::Source);
        for _ in 0..halvings {
            let mut half = Self::new((small.width / 2.0).ceil() as u32, (small.height / 2.0).ceil() as u32);
            half.overlay(&small, 1.0, BlendMode::Source);
            small = half;
        }
        for _ in 0..halvings {
            let mut twice = Self::new((small.width * 2.0) as u32, (small.height * 2.0) as u32);
            twice.overlay(&small, 1.0, BlendMode::Source);
            small = twice;
        }
        small
    }

    /// Keeps only the parts that lie on `mask`: cuts the picture to that shape.
    pub fn cut(&mut self, mask: &Self) {
        self.overlay(mask, 1.0, BlendMode::DestinationIn);
    }

    /// Draws this picture upside down below `line`, squeezed vertically.
    pub fn mirror(&mut self, line: f32, squeeze: f32, opacity: f32) {
        let mut below = Self::new(self.width as u32, (self.height - line).ceil() as u32);
        let paint =
            PixmapPaint { opacity, blend_mode: BlendMode::SourceOver, quality: FilterQuality::Nearest };
        let turn = Transform::from_row(1.0, 0.0, 0.0, -squeeze, 0.0, line * squeeze);
        below.pixels.draw_pixmap(0, 0, self.pixels.as_ref(), &paint, turn, None);
        let paint = PixmapPaint::default();
        self.pixels.draw_pixmap(0, line as i32, below.pixels.as_ref(), &paint, Transform::identity(), None);
    }

    /// Clouds, mist, nebulae: noise of one colour, `cells` across, denser where `cover` is larger.
    pub fn noise(
        width: u32,
        height: u32,
        cells: (f32, f32),
        cover: f32,
        color: Color,
        random: &mut Random,
    ) -> Self {
        let mut layer = Self::new(width, height);
        let (mut across, mut down, mut weight) = (cells.0, cells.1, 1.0_f32);
        for octave in 0..4 {
            let size = ((across as u32 + 3).min(80), (down as u32 + 3).min(80));
            let mut tile = Self::new(size.0, size.1);
            for pixel in tile.pixels.pixels_mut() {
                let dense = ((random.unit() - 1.0 + cover) * 1.6).clamp(0.0, 1.0) * weight;
                *pixel = faded(color, color.alpha() * dense).premultiply().to_color_u8();
            }
            let (x, y) = (layer.width / across, layer.height / down);
            let quality = if octave < 2 { FilterQuality::Bicubic } else { FilterQuality::Bilinear };
            let paint = PixmapPaint { opacity: 1.0, blend_mode: BlendMode::SourceOver, quality };
            let place = Transform::from_row(x, 0.0, 0.0, y, -x, -y);
            layer.pixels.draw_pixmap(0, 0, tile.pixels.as_ref(), &paint, place, None);
            (across, down, weight) = (across * 2.1, down * 2.1, weight * 0.55);
        }
        layer
    }

    /// Fades a layer in from `top` to `full` and out from `ebb` to `bottom`, as parts of its height.
    pub fn fade(&mut self, top: f32, full: f32, ebb: f32, bottom: f32) {
        let (on, off) = (Color::BLACK, Color::TRANSPARENT);
        let stops = [(top, off), (full, on), (ebb, on), (bottom, off)];
        let paint = Self::paint_with(vertical(&stops, 0.0, self.height), BlendMode::DestinationIn);
        self.pixels.fill_rect(self.whole(), &paint, Transform::identity(), None);
    }

    /// Finishes every photo with darker corners and film grain, which also hides steps in soft
    /// gradients.
    pub fn finish(&mut self, vignette: f32, grain: f32, random: &mut Random) {
        let (w, h) = (self.width, self.height);
        let dark = Color::BLACK;
        let stops = [(0.0, faded(dark, 0.0)), (0.6, faded(dark, 0.0)), (1.0, faded(dark, vignette))];
        let paint =
            Self::paint_with(radial((w / 2.0, h / 2.0), w.hypot(h) / 1.9, &stops), BlendMode::SourceOver);
        self.pixels.fill_rect(self.whole(), &paint, Transform::identity(), None);
        let mut tile = Self::new(128, 128);
        for pixel in tile.pixels.pixels_mut() {
            let value = ((random.unit() + random.unit()) / 2.0).clamp(0.0, 1.0);
            *pixel = faded(Color::from_rgba(value, value, value, 1.0).unwrap_or(dark), 1.0)
                .premultiply()
                .to_color_u8();
        }
        let pattern = Pattern::new(
            tile.pixels.as_ref(),
            SpreadMode::Repeat,
            FilterQuality::Nearest,
            grain,
            Transform::identity(),
        );
        self.pixels.fill_rect(
            self.whole(),
            &Self::paint_with(pattern, BlendMode::Overlay),
            Transform::identity(),
            None,
        );
    }
}

fn stops_of(stops: &[(f32, Color)]) -> Vec<GradientStop> {
    stops.iter().map(|(at, color)| GradientStop::new(*at, *color)).collect()
}

fn vertical(stops: &[(f32, Color)], top: f32, bottom: f32) -> Shader<'static> {
    let (start, end) = (Point::from_xy(0.0, top), Point::from_xy(0.0, bottom.max(top + 1.0)));
    let plain = Shader::SolidColor(stops.first().map_or(Color::TRANSPARENT, |stop| stop.1));
    LinearGradient::new(start, end, stops_of(stops), SpreadMode::Pad, Transform::identity()).unwrap_or(plain)
}

fn radial(at: (f32, f32), radius: f32, stops: &[(f32, Color)]) -> Shader<'static> {
    let center = Point::from_xy(at.0, at.1);
    let plain = Shader::SolidColor(stops.last().map_or(Color::TRANSPARENT, |stop| stop.1));
    RadialGradient::new(
        center,
        0.0,
        center,
        radius.max(0.5),
        stops_of(stops),
        SpreadMode::Pad,
        Transform::identity(),
    )
    .unwrap_or(plain)
}

/// A circle.
pub fn circle(x: f32, y: f32, radius: f32) -> Option<Path> {
    PathBuilder::from_circle(x, y, radius)
}

/// An ellipse around a point.
pub fn ellipse(x: f32, y: f32, across: f32, down: f32) -> Option<Path> {
    PathBuilder::from_oval(Rect::from_ltrb(x - across, y - down, x + across, y + down)?)
}

/// A rectangle.
pub fn rect(x: f32, y: f32, width: f32, height: f32) -> Option<Path> {
    Some(PathBuilder::from_rect(Rect::from_xywh(x, y, width, height)?))
}

/// A closed shape of straight edges.
pub fn polygon(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    path.move_to(first.0, first.1);
    rest.iter().for_each(|point| path.line_to(point.0, point.1));
    path.close();
    path.finish()
}

/// Everything below a line, down to `bottom`.
pub fn below(width: f32, bottom: f32, step: f32, line: impl Fn(f32) -> f32) -> Option<Path> {
    let mut points: Vec<(f32, f32)> =
        (0..=(width / step).ceil() as u32).map(|n| n as f32 * step).map(|x| (x, line(x))).collect();
    points.extend([(width + step, bottom), (0.0, bottom)]);
    polygon(&points)
}

/// A leaf or petal that starts at a point, in a direction (radians), pointed at both ends.
pub fn petal(x: f32, y: f32, length: f32, width: f32, direction: f32) -> Option<Path> {
    let (sin, cos) = direction.sin_cos();
    let to = |along: f32, aside: f32| (x + cos * along - sin * aside, y + sin * along + cos * aside);
    let mut path = PathBuilder::new();
    path.move_to(x, y);
    let (a, b, end) = (to(length * 0.3, width), to(length * 0.75, width), to(length, 0.0));
    path.cubic_to(a.0, a.1, b.0, b.1, end.0, end.1);
    let (a, b) = (to(length * 0.75, -width), to(length * 0.3, -width));
    path.cubic_to(a.0, a.1, b.0, b.1, x, y);
    path.close();
    path.finish()
}

/// A line through points.
pub fn line(points: &[(f32, f32)]) -> Option<Path> {
    let mut path = PathBuilder::new();
    let (first, rest) = points.split_first()?;
    path.move_to(first.0, first.1);
    rest.iter().for_each(|point| path.line_to(point.0, point.1));
    path.finish()
}
