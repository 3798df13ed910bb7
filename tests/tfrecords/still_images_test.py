import base64
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from tfrecords.decoded_frames import MediaError
from tfrecords.decoding import decode_frames
from tfrecords.still_images import is_still

# 128 x 64 pixels in two tiles, red and blue, as a phone keeps a large picture: two HEVC
# pictures of pillow-heif 1.8.1 beside a `grid` item written by hand.
_TILES = zlib.decompress(
    base64.b85decode(
        "c-muNV30{GsVvAy%}izhg51nBLl8SRGck>Uf$>moYDppk1Sn>t<P<^K3<a6VB@AeQuOPD|7tC"
        "S?Vu#F}{A5NT!v(}=1d9Vn#%DlUj)4irXJP^KAu1T5CUF3<Z)Rp*8r(EdASaaxqynfWqb%8w0"
        "Y#7rQxL2#y(lvU#FWV_N=<_rE|8L$n+}v@g6Ly7mswC$0HjxB79{5b=?b7p&Wy|;p$T9OavvD"
        "}{QdERfq|bn0jNj9fsu#t|9_AIW{?VI5R%))<d6uI)OKQIM3Y&d(8xONm8a&qJSHg~4v^3Z5W"
        "(S)1XR!N!g#P~gOUT#8j;N6f>fv*9iSLltN|(}msyYtixXh5F*PzVFo6hWMo>TrWTqsRfP=CD"
        "tlA|P!k5xuT+jJH*=&*h|KAsD|NpyleBr;Xn<oVS7qf%QDq5Dt|Npn9{C)i~X8ZqJ#OAUaeEk"
        "6cN4;kw"
    )
)
_RED, _BLUE = (0, 0, 255), (255, 0, 0)  # as OpenCV orders them


def _pixels(path):
    _, kept = decode_frames(path, lambda _: {0}, lambda picture: picture.pixels)
    return kept[0]


def _is_near(pixel, colour):
    return np.abs(pixel.astype(int) - colour).max() < 30


def test_a_picture_of_tiles_is_put_together(tmp_path):
    path = tmp_path / "slide.jpg"  # whatever it is called
    path.write_bytes(_TILES)
    pixels = _pixels(path)
    assert pixels.shape == (64, 128, 3)
    assert _is_near(pixels[5, 5], _RED)
    assert _is_near(pixels[5, 120], _BLUE)


def test_a_turned_picture_is_upright(tmp_path):
    picture = Image.new("RGB", (64, 32), (255, 0, 0))
    picture.paste((0, 0, 255), (32, 0, 64, 32))
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter turn clockwise: the left side comes to the top
    picture.save(tmp_path / "a.avif", exif=turned)
    pixels = _pixels(tmp_path / "a.avif")
    assert pixels.shape == (64, 32, 3)
    assert _is_near(pixels[5, 16], _RED)
    assert _is_near(pixels[60, 16], _BLUE)


@pytest.mark.parametrize("keep", [12, 40, 300, 500])
def test_a_truncated_image_is_an_error(tmp_path, keep):
    path = tmp_path / "a.heic"
    path.write_bytes(_TILES[:keep])
    with pytest.raises(MediaError, match=r"^a\.heic: cannot be decoded: \w+$"):
        _pixels(path)


def test_a_missing_image_is_an_error(tmp_path):
    with pytest.raises(MediaError, match=r"^a\.heic: cannot be read"):
        _pixels(tmp_path / "a.heic")


def test_films_and_other_pictures_are_left_to_ffmpeg(tmp_path, write_clip, draw_number):
    cv2.imwrite(str(tmp_path / "1.png"), draw_number(1))
    (tmp_path / "empty").touch()
    clip = write_clip(tmp_path / "clip.mp4", 2)
    assert not any(map(is_still, (clip, tmp_path / "1.png", tmp_path / "empty")))
