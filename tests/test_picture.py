import numpy as np
import pytest

from bbmr.picture import Metadata, Picture


@pytest.mark.parametrize(
    ("shape", "mode"), [((5, 4), "L"), ((5, 4, 2), "LA"), ((5, 4, 3), "RGB"), ((5, 4, 4), "RGBA"), ((1, 1), "L")]
)
def test_arrays_come_back(shape: tuple[int, ...], mode: str) -> None:
    array = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    picture = Picture.from_array(array)
    assert picture.mode == mode
    assert (picture.height, picture.width) == shape[:2]
    np.testing.assert_array_equal(picture.to_array(), array)


def test_other_types_and_shapes_are_refused() -> None:
    with pytest.raises(TypeError, match="uint8"):
        Picture.from_array(np.zeros((4, 4, 3)))
    with pytest.raises(ValueError, match="1 to 4"):
        Picture.from_array(np.zeros((4, 4, 5), np.uint8))
    with pytest.raises(ValueError, match="at least 1 x 1"):
        Picture.from_array(np.zeros((0, 4, 3), np.uint8))
    with pytest.raises(ValueError, match="alpha"):
        Picture(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5), np.uint8))


def test_pictures_are_equal_where_samples_and_metadata_are() -> None:
    array = np.random.default_rng(1).integers(0, 256, (5, 4, 4), np.uint8)
    picture = Picture.from_array(array)
    assert picture == Picture.from_array(array.copy())
    for other in (
        Picture.from_array(255 - array),
        Picture.from_array(array[:, :, :3]),
        Picture.from_array(array[:4]),
        Picture(picture.colour, picture.alpha, Metadata(exif=b"II*")),
        "a picture",
    ):
        assert picture != other
        assert other != picture
