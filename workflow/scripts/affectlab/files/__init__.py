"""Files and folders: atomic writes, archives, digests, logs; nothing about emotions."""
