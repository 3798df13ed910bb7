"""dc_keras: predict who joins a TikTok challenge, with TensorFlow and Keras.

Import the piece you need (`dc_keras.corpus.store`, `dc_keras.models.proxy`, …): this
package imports nothing heavy, so that `import dc_keras` stays instant.
"""

from dc_keras.version import __version__

__all__ = ["__version__"]
