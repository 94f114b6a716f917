"""The protocol between Blender and the worker, and the data that it carries.

``settings.py`` and ``job.py`` describe a job, ``events.py``, ``errors.py`` and ``devices.py`` what is
reported about it. ``messages.py`` lists the messages, ``wire.py`` packs them into frames, and
``connection.py`` opens the encrypted sockets. ``weights.py`` and ``memory_profiles.py`` say what the models
need, ``stage_names.py`` what users read of a stage. ``shell_commands.py`` spells the commands that messages
tell, ``command_help.py`` and ``exit_codes.py`` are what all command lines share,
and ``faults.py`` says what the machine lacks.

Importing a module of this package never opens a socket and never starts a process.
"""
