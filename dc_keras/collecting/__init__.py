"""Live collection with TikTokApi: raw answers on disk, saved before they are read."""
