"""What turns frames and captions into embeddings: VGG16, ResNet50, BERT."""
